"""Words that messages know beside the registries: what cannot be compiled yet, and what things are
called elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection

_PLANNED = {
    "train": "precision",
}


def planned(registry: str) -> frozenset[str]:
    """The names of a registry that are known and not built yet; for options, `layer_name.`."""
    return frozenset(_PLANNED.get(registry, "").split())


# What a thing is called elsewhere -> what it is called here, in small letters without `_`.  Where
# several are named, the first that the place knows is meant.
_ELSEWHERE = {
    "affine fc fullyconnected hidden hiddenlayer innerproduct linear output perceptron": "dense",
    "batchnorm1d batchnorm2d batchnormalization bn": "batch_norm",
    "conv1d conv2d conv3d convolution convolution1d convolution2d convolution3d": "conv",
    "conv1dtranspose conv2dtranspose conv3dtranspose convtranspose1d convtranspose2d "
    "convtranspose3d deconv deconvolution transposedconvolution": "conv_transpose",
    "depthwiseconv depthwiseconv1d depthwiseconv2d separableconv separableconv2d": "conv",
    "kernel kernelsize": "size",
    "outputpadding": "output_pad",
    "dilationrate dilations": "dilation",
    "outchannels": "filters",
    "maxpool1d maxpool2d maxpool3d maxpooling maxpooling1d maxpooling2d maxpooling3d pool "
    "pooling": "max_pool",
    "averagepool averagepooling averagepooling1d averagepooling2d averagepooling3d avgpool1d "
    "avgpool2d avgpool3d meanpool": "avg_pool",
    "adaptiveavgpool2d gap globalaveragepool globalaveragepooling1d globalaveragepooling2d "
    "globalaveragepooling3d": "global_avg_pool",
    "adaptivemaxpool2d globalmaxpooling1d globalmaxpooling2d globalmaxpooling3d": "global_max_pool",
    "interpolate resize upsampling upsampling1d upsampling2d upsampling3d upsamplingbilinear2d "
    "upsamplingnearest2d": "upsample",
    "pad zeropad1d zeropad2d zeropad3d zeropadding1d zeropadding2d zeropadding3d": "zero_pad",
    "centercrop cropping1d cropping2d cropping3d": "crop",
    "movedim swapaxes transpose": "permute",
    "chunk": "split",
    "average": "mean",
    "mul product times": "multiply",
    "cat concatenate join": "concat",
    "view": "reshape",
    "expit logistic": "sigmoid",
    "leakyrelu lrelu": "leaky_relu",
    "parametricrelu": "prelu",
    "randomizedleakyrelu randomizedrelu": "rrelu",
    "rectifier": "relu",
    "silu quickgelu": "swish",
    "gelunew newgelu": "gelu",
    "thresholdedrelu": "threshold",
    "layernormalization": "layer_norm",
    "instancenorm instancenorm2d groupnormalization": "group_norm",
    "rmsnormalization rootmeansquarenorm": "rms_norm",
    "addnoise noise whitenoise": "gaussian_noise",
    "gaussiandropout": "dropout gaussian_noise",
    "dropout1d dropout2d dropout3d mcdropout montecarlodropout spatialdropout spatialdropout1d "
    "spatialdropout2d spatialdropout3d": "dropout",
    "featurealphadropout seludropout": "alpha_dropout",
    "numgroups": "groups",
    "embed embeddinglayer embeddings lookup wordembedding": "embedding",
    "longshorttermmemory lstmcell": "lstm",
    "gatedrecurrentunit grucell": "gru",
    "mha multiheadattention selfattention": "attention",
    "learnedpositions positionalembedding": "position_embedding",
    "positionalencoding positionencoding sinepositionencoding": "sinusoidal_positions",
    "inputdim numembeddings vocabsize vocabularysize": "count",
    "embeddim embeddingdim outputdim": "size",
    "returnsequences": "sequence",
    "recurrentinitializer": "recurrent_init",
    "numheads": "heads",
    "iscausal usecausalmask": "causal",
    "hiddensize": "units",
    "linearactivation": "identity",
    "kaiming kaimingnormal he msra": "he_normal",
    "kaiminguniform": "he_uniform",
    "glorot": "glorot_uniform glorot_normal",
    "xavieruniform": "glorot_uniform",
    "xaviernormal": "glorot_normal",
    "lecun": "lecun_normal",
    "gaussian randomnormal": "normal",
    "randomuniform": "uniform",
    "truncnormal": "truncated_normal",
    "zero": "zeros",
    "one": "ones",
    "categoricalcrossentropy ce crossentropyloss logloss negativeloglikelihood nll nllloss "
    "softmaxcrossentropy sparsecategoricalcrossentropy xent": "cross_entropy",
    "bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropy": "binary_cross_entropy",
    "l2loss leastsquares meansquarederrorloss mseloss squarederror": "mean_squared_error mse",
    "meansquarederror mse": "mse mean_squared_error",
    "l1loss mae meanabsoluteerror": "mean_absolute_error mae",
    "huberloss smoothl1 smoothl1loss": "huber",
    "hingeloss marginloss squaredhinge": "hinge",
    "kld kldiv kldivloss kldivergence kullbackleibler": "kl_divergence",
    "binaryfocalcrossentropy categoricalfocalcrossentropy focalloss sigmoidfocalloss": "focal",
    "acc binaryaccuracy categoricalaccuracy sparsecategoricalaccuracy": "accuracy",
    "sparsetopkcategoricalaccuracy topk topkaccuracy topkcategoricalaccuracy": "top5",
    "f1score fscore": "f1",
    "sensitivity tpr truepositiverate": "recall",
    "positivepredictivevalue ppv": "precision",
    "confmat confusion": "confusion_matrix",
    "coefficientofdetermination r2score rsquared": "r2",
    "rootmeansquarederror": "rmse",
    "auroc rocauc": "auc",
    "gd gradientdescent momentum nesterov stochasticgradientdescent": "sgd",
    "rmsp rms": "rmsprop",
    "adamamsgrad ams": "amsgrad",
    "nesterovadam": "nadam",
    "exponentialdecay exponentiallr step steplr": "exponential",
    "cosineannealing cosineannealinglr cosineannealingwarmrestarts cosinedecay "
    "cosinedecayrestarts sgdr": "cosine",
    "linearlr lineardecay": "linear",
    "poly polynomialdecay polynomiallr": "polynomial",
    "inversetimedecay powerscheduling": "power",
    "reducelronplateau reduceonplateau": "plateau",
    "1cycle onecyclelr onecyclescheduler superconvergence": "one_cycle",
    "alpha": "rho slope",
    "initialaccumulatorvalue": "initial_accumulator",
    "maxlr maxlearningrate": "max",
    "minlr minimumlr": "min_lr end",
    "etamin endlearningrate finallr": "end",
    "tmax totaliters totalsteps": "over",
    "tmult tmul": "multiplier",
    "warmupsteps warmupepochs numwarmupsteps": "warmup",
    "multistep multisteplr piecewiseconstant": "piecewise",
    "eta learningrate stepsize": "lr every",
    "nodes neurons numunits outfeatures size width": "units",
    "initialiser initializer kernelinitializer weightinit weightinitializer": "init",
    "biasinitializer usebias": "bias",
    "p prob probability": "rate",
    "negativeslope": "slope",
    "eps": "epsilon",
    "stddev sigma sd": "std",
    "mu": "mean",
    "decay decayrate gamma": "factor weight_decay",
    "l2 wd": "weight_decay l2",
    "weightdecay": "weight_decay l2",
    "maxnormconstraint kernelconstraint": "max_norm",
    "decaysteps": "every over",
    "labelsmoothing": "smoothing",
    "boundaries milestones": "steps",
    "clipvalue": "value",
    "clipnorm": "norm",
    "globalclipnorm maxnorm": "global_norm max_norm",
    "metric monitor watch": "on",
    "mindelta tolerance": "min_delta",
    "restorebestweights": "restore",
    "batchsize minibatch": "batch",
    "accumulategradbatches accumulationsteps gradientaccumulation gradientaccumulationsteps": (
        "accumulate"
    ),
    "epoch maxepochs nepochs numepochs": "epochs",
    "earlystop earlystopping patience": "stop",
    "learningrateschedule lrschedule lrscheduler scheduler": "schedule",
    "criterion objective": "loss",
    "optim solver": "optimizer",
    "gradientclipping": "clip",
    "randomseed randomstate rngseed": "seed",
    "val validation validationsplit dev": "valid",
    "training": "train",
    "rescale": "scale",
    "standardise standardscaler zscore": "standardize",
    "normalise": "normalize",
    "categorical onehotencode tocategorical": "one_hot",
    "label labels y": "target",
    "numpy": "npz npy",
    "mnist": "idx",
    "imagefolder imagedatasetfromdirectory flowfromdirectory": "images",
    "augmentation dataaugmentation": "augment",
    "hflip horizontalflip randomflip randomhorizontalflip verticalflip": "flip",
    "randomcrop randomtranslation": "crop",
    "randomresizedcrop randomsizedcrop": "resize_crop",
    "randomrotation": "rotate",
    "coarsedropout randomerasing": "cutout",
    "randombrightness randomcontrast": "color_jitter",
    "flase": "false",
    "ture": "true",
}
_HERE = {word: here.split() for words, here in _ELSEWHERE.items() for word in words.split()}

_IN_STEPS = (
    "write `schedule exponential factor={gamma|factor|1=0.1} every={step_size|every|0=10} "
    "staircase=true`"
)

# What is not merely called otherwise, but done otherwise: `owner.word` -> what to do.
_ADVICE = {
    "layer.activation": "an activation is a step of its own: `dense 300 | relu`",
    "layer.in_channels": "leave it out: how many channels come in is known",
    "layer.data_format": "leave it out: images are channels first, `input image[3 32 32]`",
    "layer.padding_mode": "leave it out: what is padded is 0",
    "layer.in_features": "leave it out: how many numbers come in is known",
    "layer.input_dim": "remove it: the shape is in the `input` line",
    "layer.input_shape": "remove it: the shape is in the `input` line",
    "layer.bidirectional": "it is an option: `lstm 64 direction=both`",
    "layer.return_state": "leave it out: the last state is what comes out without `sequence=true`",
    "layer.go_backwards": "write `direction=backward`",
    "layer.name": "remove it: a layer is named after its `part`",
    "layer.kernel_regularizer": "write `l1=1e-5` or `l2=1e-4`",
    "layer.dense.surplus": "how many numbers come in is known, so one number is enough: `dense 10`",
    "layer.bias_regularizer": "leave it out: biases are not penalized",
    "layer.trainable": "leave it out: all weights are trained",
    "csv.sep": "write `delimiter={sep=semicolon}`",
    "csv.separator": "write `delimiter={separator=semicolon}`",
    "csv.delim": "write `delimiter={delim=semicolon}`",
    "sgd.decay": (
        "decay of the rate is a row: `schedule power every=(1 / {decay=1e-4}) per=step`; decay of "
        "the weights is `weight_decay={decay=1e-4}`"
    ),
    "optimizer.decay": (
        "decay of the rate is a row: `schedule power every=(1 / {decay=1e-4}) per=step`; decay of "
        "the weights is `adamw weight_decay={decay=1e-4}`"
    ),
    "adam.weight_decay": (
        "it is an optimizer of its own: `optimizer adamw weight_decay={weight_decay=1e-4}`"
    ),
    "optimizer.weight_decay": "`sgd`, `adamw` and `lion` have it, or a layer's `l2=1e-4`",
    "optimizer.betas": "write `beta_1=0.9 beta_2=0.999`",
    "optimizer.amsgrad": "it is an optimizer of its own: `optimizer amsgrad`",
    "optimizer.clipnorm": "clipping is a row of its own: `clip norm=1`",
    "optimizer.global_clipnorm": "clipping is a row of its own: `clip global_norm=1`",
    "schedule.step": _IN_STEPS,
    "schedule.steplr": _IN_STEPS,
    "schedule.warmup": "leave it out: one_cycle begins with a rise of its own",
    "train.learning_rate": "it is an option of the optimizer: `optimizer sgd lr=0.1`",
    "train.lr": "it is an option of the optimizer: `optimizer sgd lr=0.1`",
    "train.momentum": "it is an option of the optimizer: `optimizer sgd lr=0.1 momentum=0.9`",
    "train.warmup": "it is an option of the schedule: `schedule constant warmup=5`",
    "train.weight_decay": "it is an option of the optimizer: `sgd weight_decay=1e-4`",
    "train.device": "it is chosen when training: `dnnc train FILE --device cuda`",
    "train.shuffle": "leave it out: the rows come in a new order in every epoch",
    "train.validation_split": "write `valid split=10%` into the data section",
    "train.validation_data": "write a `valid` row into the data section",
    "data.shuffle": "leave it out: the rows come in a new order in every epoch",
    "data.test_split": "only `valid` is cut out of train; `test` has a source of its own",
    "train_row.restore_best_weights": "write `restore=best`",
}


# Near in spelling to what they have nothing to do with.
_NOTHING_HERE = frozenset({"swiglu", "geglu", "reglu", "glu"})


def unlike_all(word: str) -> bool:
    """Whether a word of other tools has no counterpart here, however it is spelt."""
    return plain(word) in _NOTHING_HERE


def plain(word: str) -> str:
    """A word without what spellings differ in."""
    return word.lower().replace("_", "").replace("-", "")


def called_here(word: str, known: Collection[str]) -> str | None:
    """The name that a thing has here, for a word that other tools use for it."""
    return next((name for name in _HERE.get(plain(word), ()) if name in known), None)


def advice(owner: str, word: str) -> str:
    """What to do instead of a word that other tools have in this place; empty where nothing is
    known.
    """
    return _ADVICE.get(f"{owner}.{word}", "")
