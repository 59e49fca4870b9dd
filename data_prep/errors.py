"""The one exception that means: the user can put this right."""


class InputError(ValueError):
    """What was given cannot be used.

    The message is one line that names the thing, what is wrong with it and what to do.
    The command line prints it and exits with status 2. It takes one argument, so that
    it survives pickling between processes.
    """
