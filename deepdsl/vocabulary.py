"""Words that messages know beside the registries: what cannot be compiled yet, and what things are
called elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection

_PLANNED = {
    "layer": (
        "conv conv_transpose max_pool avg_pool global_avg_pool global_max_pool upsample zero_pad "
        "crop permute embedding lstm gru attention multiply split mean prelu rrelu gelu swish mish "
        "softplus softsign hard_sigmoid hard_swish celu relu6 threshold log_softmax alpha_dropout "
        "gaussian_noise layer_norm group_norm rms_norm"
    ),
    "dense.": "tie l1 l2 max_norm",
    "batch_norm.": "",
    "loss": "huber hinge kl_divergence focal",
    "metric": "top5 f1 precision recall confusion_matrix r2 mse",
    "optimizer": "adagrad rmsprop adamax nadam amsgrad lion",
    "schedule": "power plateau one_cycle cosine polynomial linear",
    "source": "images parquet",
    "data": "augment",
    "train": "precision accumulate freeze unfreeze lr_mult cache",
    "export": "quantize",
    "onnx.": "quantize",
}


def planned(registry: str) -> frozenset[str]:
    """The names of a registry that are known and not built yet; for options, `layer_name.`."""
    return frozenset(_PLANNED.get(registry, "").split())


# What a thing is called elsewhere -> what it is called here, in small letters without `_`.  Where
# several are named, the first that the place knows is meant.
_ELSEWHERE = {
    "affine fc fullyconnected hidden hiddenlayer innerproduct linear output perceptron": "dense",
    "batchnorm1d batchnorm2d batchnormalization bn": "batch_norm",
    "conv2d convolution": "conv",
    "maxpool2d maxpooling maxpooling2d": "max_pool",
    "averagepooling2d avgpool2d": "avg_pool",
    "cat concatenate join": "concat",
    "view": "reshape",
    "expit logistic": "sigmoid",
    "leakyrelu lrelu": "leaky_relu",
    "linearactivation": "identity",
    "kaiming kaimingnormal he msra": "he_normal",
    "kaiminguniform": "he_uniform",
    "glorot": "glorot_uniform glorot_normal",
    "lecun": "lecun_normal",
    "gaussian randomnormal": "normal",
    "randomuniform": "uniform",
    "truncnormal": "truncated_normal",
    "zero": "zeros",
    "one": "ones",
    "categoricalcrossentropy ce crossentropyloss logloss negativeloglikelihood nll nllloss "
    "softmaxcrossentropy sparsecategoricalcrossentropy xent": "cross_entropy",
    "bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropy": "binary_cross_entropy",
    "l2loss leastsquares meansquarederrorloss mse mseloss squarederror": "mean_squared_error",
    "acc categoricalaccuracy sparsecategoricalaccuracy": "accuracy",
    "auroc rocauc": "auc",
    "meanabsoluteerror": "mae",
    "gd gradientdescent momentum nesterov stochasticgradientdescent": "sgd",
    "exponentialdecay exponentiallr step steplr": "exponential",
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
    "l2 wd": "weight_decay",
    "decaysteps": "every",
    "labelsmoothing": "smoothing",
    "boundaries milestones": "steps",
    "clipvalue": "value",
    "clipnorm": "norm",
    "globalclipnorm maxnorm": "global_norm",
    "metric monitor watch": "on",
    "mindelta tolerance": "min_delta",
    "restorebestweights": "restore",
    "batchsize minibatch": "batch",
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
    "flase": "false",
    "ture": "true",
}
_HERE = {word: here.split() for words, here in _ELSEWHERE.items() for word in words.split()}

# What is not merely called otherwise, but done otherwise: `owner.word` -> what to do.
_ADVICE = {
    "layer.activation": "an activation is a step of its own: `dense 300 | relu`",
    "layer.in_features": "leave it out: how many numbers come in is known",
    "layer.input_dim": "leave it out: the shape stands in the `input` line",
    "layer.input_shape": "leave it out: the shape stands in the `input` line",
    "layer.name": "leave it out: a layer is named by the `part` it stands in",
    "layer.kernel_regularizer": "it is an option of the optimizer: `sgd weight_decay=1e-4`",
    "layer.trainable": "leave it out: all weights are trained",
    "optimizer.betas": "write `beta_1=0.9 beta_2=0.999`",
    "optimizer.clipnorm": "clipping is a row of its own: `clip norm=1`",
    "optimizer.global_clipnorm": "clipping is a row of its own: `clip global_norm=1`",
    "train.learning_rate": "it is an option of the optimizer: `optimizer sgd lr=0.1`",
    "train.lr": "it is an option of the optimizer: `optimizer sgd lr=0.1`",
    "train.momentum": "it is an option of the optimizer: `optimizer sgd lr=0.1 momentum=0.9`",
    "train.weight_decay": "it is an option of the optimizer: `sgd weight_decay=1e-4`",
    "train.device": "it is chosen when training: `dnnc train FILE --device cuda`",
    "train.shuffle": "leave it out: the rows come in a new order in every epoch",
    "train.validation_split": "write `valid split=10%` into the data section",
    "train.validation_data": "write a `valid` row into the data section",
    "data.shuffle": "leave it out: the rows come in a new order in every epoch",
    "data.test_split": "only `valid` is cut out of train; `test` has a source of its own",
    "train_row.restore_best_weights": "write `restore=best`",
}


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
