//! Sequences: FASTA, alphabets, normalisation, digests.
