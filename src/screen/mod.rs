//! Scoring pairs and screening libraries with a trained network.
