"""What the queue calls. Task bodies take ids, and a second delivery does nothing."""


def run_training(job_id: str) -> str | None:
    """``training`` cluster: run the job whose turn it is to its end; its state is for the queue's log only.

    It need not be the job that the message speaks of.
    """
    from models_app.worker import run_in_turn

    return run_in_turn(job_id)


def sweep_strays() -> int:
    """``light`` cluster, each hour: blobs that no metadata speaks of."""
    from models_app.strays import sweep_strays as run

    return run()


def sweep() -> dict[str, int]:
    """``light`` cluster, each minute: finish or undo what dead processes left."""
    from models_app.sweep import sweep as run

    return run()
