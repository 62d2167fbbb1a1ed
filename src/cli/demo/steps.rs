//! The commands of the demo, as one would type them in its folder.

/// Where the evaluation goes.
pub const EVALUATION: &str = "evaluation";

/// Every command after `biollmnet`, in order; no argument holds a blank.
pub const STEPS: [&str; 6] = [
    "embed input/rna.fasta --encoder kmer --out rna",
    "embed input/protein.fasta --encoder triad --out protein",
    "train --pairs input/pairs.tsv --rna rna --partner protein --epochs 15 --stop fixed --members 3 --out model",
    "evaluate --pairs input/pairs.tsv --rna rna --partner protein --epochs 15 --stop fixed --seeds 1 \
     --fusion static,concat --title Demo --synthetic --out evaluation",
    "predict --model model --pairs input/new_pairs.tsv --rna rna --partner protein --out predictions.tsv",
    "screen --model model --targets rna --library protein --top-k 5 --exclude input/pairs.tsv --out screen.tsv",
];
