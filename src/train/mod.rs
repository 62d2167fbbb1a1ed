//! Training the fusion network: trainer, early stopping, calibration, checkpoint.
