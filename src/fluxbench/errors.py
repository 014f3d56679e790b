"""The exception for bad input, which a user can mend."""


class InputError(ValueError):
    """Bad input from outside: a file, a key, a value.

    The message is one line that names the file or key, what was found and what was expected. The command line prints
    it without a traceback and exits with status 2.
    """
