"""The errors MedAD raises on purpose, each with a sentence that says what to do."""


class MedADError(Exception):
    """Something a person can act on; the message is one line without a traceback."""

    def __init__(self, problem: str, remedy: str = ""):
        """Join what is wrong and what to do into one line.

        Args:
            problem: What is wrong, naming the file or value.
            remedy: What the reader can do about it.
        """
        self.problem = " ".join(str(problem).split()).rstrip(". ")
        self.remedy = " ".join(str(remedy).split())
        super().__init__(f"{self.problem}. {self.remedy}".strip() if remedy else self.problem)


class InputError(MedADError):
    """An image, mask or folder that cannot be examined."""


class ModelError(MedADError):
    """A model file that is damaged, hostile, too new or unfit for the task."""


class OutputError(MedADError):
    """A result that could not be written."""


class Cancelled(MedADError):
    """The user asked to stop; nothing partial is left behind."""

    def __init__(self, problem: str = "cancelled"):
        super().__init__(problem)
