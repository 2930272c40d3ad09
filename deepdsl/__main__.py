"""`python -m deepdsl` is `dnnc`."""

from deepdsl.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
