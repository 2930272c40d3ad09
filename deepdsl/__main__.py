"""`python -m deepdsl` is `dnnc`."""

from deepdsl.cli import main

raise SystemExit(main())
