"""``python -m tripletune``: the command line."""

from tripletune.search.cli import main

if __name__ == "__main__":
    main()
