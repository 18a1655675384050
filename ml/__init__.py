"""Tables, trainings and predictions on plain files, frames and numbers; knows nothing of Django."""
