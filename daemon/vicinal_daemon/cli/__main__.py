"""`python -m vicinal_daemon.cli`: the command `vicinal` for those who have an interpreter and no script."""

from vicinal_daemon.cli import main

if __name__ == "__main__":
    main()
