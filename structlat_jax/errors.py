"""What may go wrong with what a user gives, beside the errors that modules declare themselves."""


class InputError(ValueError):
    """Input that is not allowed; the message is one sentence that names it."""


class LostProcessError(RuntimeError):
    """Another process of the same program has ended, and this one cannot go on without it."""
