//! Whole commands: predictions and screens from the files of a trained model.

#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const NETWORK: &str = "epochs = 2\nstop = \"fixed\"\n[network]\nprojection = { both = 8 }\nhead = [4]\n";

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// Twelve RNAs and thirty proteins, two of each with one sequence, and pairs of them.
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let sequence = |seed: usize, letters: &[u8], length: usize| -> String {
            (0..length).map(|i| char::from(letters[(seed * 31 + i * (seed + 3) + i * i) % letters.len()])).collect()
        };
        let (mut rna, mut protein, mut pairs) = (String::new(), String::new(), String::from("rna\tprotein\tlabel\n"));
        for i in 0..12 {
            let _ = writeln!(rna, ">r{i}\n{}", sequence(if i == 11 { 3 } else { i }, b"ACGUU", 40 + i % 11));
        }
        for i in 0..30 {
            let seed = if i == 29 { 7 } else { i };
            let _ = writeln!(protein, ">p{i}\n{}", sequence(seed, b"ACDEFGHIKLMNPQRSTVWY", 30 + seed % 13));
        }
        for i in 0..120 {
            let _ = writeln!(pairs, "r{}\tp{}\t{}", i % 12, (i * 7 + i / 12 * 5) % 30, i * i % 5 % 2);
        }
        for (name, text) in
            [("rna.fa", rna), ("protein.fa", protein), ("pairs.tsv", pairs), ("net.toml", NETWORK.into())]
        {
            fs::write(bench.path(name), text).unwrap();
        }
        bench.ok("embed rna.fa --encoder kmer --out rna");
        bench.ok("embed protein.fa --encoder triad --out protein");
        bench.ok("train --pairs pairs.tsv --rna rna --partner protein --config net.toml --members 2 --out model");
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_biollmnet"))
            .current_dir(self.folder.path())
            .args(["--progress", "none"])
            .args(line.split_whitespace())
            .output()
            .unwrap()
    }
    fn ends(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}: {text}");
        text
    }
    fn ok(&self, line: &str) -> String {
        self.ends(0, line)
    }
    /// Lines of a table, split at tabs.
    fn table(&self, name: &str) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

/// Two rows are the same but for what f32 rounds: `predict` computes in f32, `screen` in f64.
fn near(found: &[String], want: &[String]) {
    let same = |(a, b): (&String, &String)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() < 1e-5 * a.abs().max(1.0),
        _ => a == b,
    };
    assert!(found.len() == want.len() && found.iter().zip(want).all(same), "{found:?} {want:?}");
}

const PREDICT: &str = "predict --model model --rna rna --partner protein";
const SCREEN: &str = "screen --model model --targets rna --library protein";

#[test]
fn predictions_keep_the_rows_and_name_what_is_wrong() {
    let bench = Bench::new();
    bench.file(
        "new.tsv",
        "protein\trna\tscore\tnote\np3\tr1\t9\tfirst\nnobody\tr1\t8\tlost\np0\tr11\t7\tlast\np3\tr1\t9\tagain\n",
    );
    let predict = format!("{PREDICT} --pairs new.tsv --columns rna=rna,partner=protein,label=absent");
    let text = bench.ends(1, &format!("{predict} --out new.out.tsv -v"));
    assert!(text.contains("2 rows rejected: 1 duplicate, 1 unknown-partner") && text.contains("pairs/s"), "{text}");
    let table = bench.table("new.out.tsv");
    assert_eq!(
        table[0].join(" "),
        "rna_id partner_id score logit probability spread gate_mean sim_rna sim_partner out_of_domain input_score note"
    );
    assert_eq!(table.len(), 3);
    assert_eq!((&table[1][..2], &table[1][10..]), (&["r1".into(), "p3".into()][..], &["9".into(), "first".into()][..]));
    assert_eq!((&table[2][..2], &table[2][10..]), (&["r11".into(), "p0".into()][..], &["7".into(), "last".into()][..]));
    for cell in table[1..].iter().flat_map(|row| &row[2..10]) {
        assert!(cell.parse::<f64>().unwrap().is_finite(), "{cell}");
    }
    let rejects = fs::read_to_string(bench.path("new.out.tsv.rejects.tsv")).unwrap();
    assert!(rejects.contains("nobody\tunknown-partner") && rejects.lines().count() == 3, "{rejects}");
    bench.ok("verify new.out.tsv");
    bench.ok("verify new.out.tsv.rejects.tsv");

    // FASTA in place of stores, other threads and standard output give the same bytes; a clean run takes the list away.
    let fasta = "predict --model model --rna rna.fa --partner protein.fa --pairs clean.tsv";
    bench.file("clean.tsv", "protein\trna\tscore\tnote\np3\tr1\t9\tfirst\np0\tr11\t7\tlast\n");
    let columns = "--columns rna=rna,partner=protein";
    bench.ok(&format!("{fasta} {columns} --out fasta.tsv --threads 1"));
    assert_eq!(fs::read(bench.path("fasta.tsv")).unwrap(), fs::read(bench.path("new.out.tsv")).unwrap());
    let piped = bench.run(&format!("{fasta} {columns} --out - --threads 2"));
    assert_eq!(piped.stdout, fs::read(bench.path("fasta.tsv")).unwrap());
    bench.ok(&format!("{PREDICT} --pairs clean.tsv {columns} --out new.out.tsv"));
    assert!(!bench.path("new.out.tsv.rejects.tsv").exists() && !bench.path("new.out.tsv.rejects.tsv.b3").exists());
    bench.ok(&format!("{PREDICT} --pairs clean.tsv {columns} --out new.parquet --json"));
    bench.ok("verify new.parquet");
}

#[test]
fn what_does_not_fit_is_refused() {
    let bench = Bench::new();
    let pairs = "--pairs pairs.tsv --out x.tsv";
    let line = |rna: &str, partner: &str| format!("predict --model model --rna {rna} --partner {partner} {pairs}");
    assert!(bench.ends(3, &line("nowhere", "protein")).contains("nowhere"));
    assert!(bench.ends(3, &line("rna", "nowhere.fa")).contains("nowhere.fa"));
    assert!(bench.ends(3, &format!("predict --model nowhere --rna rna --partner protein {pairs}")).contains("nowhere"));
    assert!(bench.ends(3, &format!("{PREDICT} --pairs nowhere.tsv --out x.tsv")).contains("nowhere.tsv"));
    assert!(bench.ends(2, &line("protein", "rna")).contains("swapped"));

    // Vectors of another name, of the same width; and of another width.
    bench.ok("export rna --format csv --out rna.csv");
    bench.ok("import-vectors rna.csv --encoder-name other --out other");
    bench.file("narrow.csv", "id,a,b\nr0,1,2\nr1,2,1\n");
    bench.ok("import-vectors narrow.csv --encoder-name other --out narrow");
    let refused = bench.ends(2, &line("other", "protein"));
    assert!(refused.contains("'kmer'") && refused.contains("--accept-encoder other"), "{refused}");
    assert!(!bench.path("x.tsv").exists());
    bench.ok(&format!("{} --accept-encoder other", line("other", "protein")));
    bench.ok(&format!("{PREDICT} --pairs pairs.tsv --out y.tsv"));
    assert_eq!(fs::read(bench.path("x.tsv")).unwrap(), fs::read(bench.path("y.tsv")).unwrap());
    let narrow = bench.ends(3, &format!("{} --accept-encoder other", line("narrow", "protein")));
    assert!(narrow.contains("width 256") && narrow.contains("width 2"), "{narrow}");
    let screen = "screen --model model --library protein --top-k 2 --out s.tsv --targets";
    assert!(bench.ends(2, &format!("{screen} other")).contains("--accept-encoder other"));
    bench.ok(&format!("{screen} other --accept-encoder other"));
    assert!(bench.ends(2, &format!("{SCREEN} --top-k 2 --out s.tsv --label no")).contains("no label 'no'"));
    assert!(bench.ends(2, &format!("{SCREEN} --top-k 0 --out s.tsv")).contains("top-k"));
}

#[test]
fn a_screen_ranks_the_predictions_of_all_pairs() {
    let bench = Bench::new();
    let all: String = (0..12).flat_map(|r| (0..30).map(move |p| format!("r{r}\tp{p}\n"))).collect();
    bench.file("all.tsv", &format!("rna\tprotein\n{all}"));
    bench.ok(&format!("{PREDICT} --pairs all.tsv --out all.out.tsv"));
    let predicted = bench.table("all.out.tsv");
    for (side, targets, library, n, column) in [("rna", "rna", "protein", 12, 0), ("partner", "protein", "rna", 30, 1)]
    {
        let screen = format!("screen --model model --targets {targets} --library {library} --targets-side {side}");
        for top_k in [1, 4, 100] {
            bench.ok(&format!("{screen} --top-k {top_k} --out s1.tsv --threads 1"));
            bench.ok(&format!("{screen} --top-k {top_k} --out s2.tsv --threads 2"));
            assert_eq!(fs::read(bench.path("s1.tsv")).unwrap(), fs::read(bench.path("s2.tsv")).unwrap());
            let prefix = if side == "rna" { "r" } else { "p" };
            let mut want = vec![[&["target".to_owned(), "rank".to_owned()][..], &predicted[0]].concat()];
            for target in (0..n).map(|i| format!("{prefix}{i}")) {
                let mut rows: Vec<&Vec<String>> = predicted.iter().filter(|row| row[column] == target).collect();
                let score = |row: &[String]| row[2].parse::<f64>().unwrap();
                let id = |row: &[String]| row[1 - column].clone();
                rows.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| id(a).cmp(&id(b))));
                let ranked = rows.iter().take(top_k).enumerate();
                want.extend(ranked.map(|(i, row)| [&[target.clone(), (i + 1).to_string()][..], row].concat()));
            }
            let found = bench.table("s1.tsv");
            assert_eq!(found.len(), want.len());
            found.iter().zip(&want).for_each(|(found, want)| near(found, want));
        }
    }
}

#[test]
fn a_screen_leaves_out_what_it_is_told_and_what_has_no_vector() {
    let bench = Bench::new();
    bench.ok(&format!("{SCREEN} --top-k 100 --out all.tsv"));
    let all = bench.table("all.tsv");
    let least = all[136][4].clone();
    bench.file("known.tsv", "rna\tprotein\nr0\tp0\nr0\tp1\nr9\tp29\nr77\tp1\n");
    let text = bench.ok(&format!("{SCREEN} --top-k 100 --exclude known.tsv --min-score {least} --out some.tsv --json"));
    assert!(text.contains("\"excluded\":3"), "{text}");
    let known = [("r0", "p0"), ("r0", "p1"), ("r9", "p29")];
    let kept = all[1..].iter().filter(|row| {
        let pair = (row[2].as_str(), row[3].as_str());
        !known.contains(&pair) && row[4].parse::<f64>().unwrap() >= least.parse::<f64>().unwrap()
    });
    let without_rank = |row: &Vec<String>| [&row[..1], &row[2..]].concat();
    let want: Vec<_> = kept.map(without_rank).collect();
    assert!(!want.is_empty() && want.len() < 357);
    assert_eq!(bench.table("some.tsv")[1..].iter().map(without_rank).collect::<Vec<_>>(), want);

    // A library of two files, of which one has a record without sequence: it is listed, all others are screened.
    let fasta = fs::read_to_string(bench.path("protein.fa")).unwrap();
    let half = fasta.find(">p15\n").unwrap();
    bench.file("one.fa", &fasta[..half]);
    bench.file("two.fa", &format!("{}>empty\n", &fasta[half..]));
    let text = bench.ends(1, "screen --model model --targets rna --library one.fa two.fa --top-k 100 --out parts.tsv");
    assert!(text.contains("1 library entries have no vector"), "{text}");
    assert_eq!(bench.table("parts.tsv"), all);
    let rejects = fs::read_to_string(bench.path("parts.tsv.rejects.tsv")).unwrap();
    assert_eq!(rejects, "file\tid\tstatus\ntwo.fa\tempty\tno-sequence\n");
    bench.ok("verify parts.tsv");
}

#[test]
fn a_folded_library_is_kept_and_used_again() {
    let bench = Bench::new();
    bench.ok(&format!("{SCREEN} --top-k 5 --out plain.tsv"));
    let plain = fs::read(bench.path("plain.tsv")).unwrap();
    for dtype in ["f32", "f16"] {
        let screen = format!("{SCREEN} --top-k 5 --folded kept --folded-dtype {dtype} --out kept.tsv");
        for _ in 0..2 {
            bench.ok(&screen);
            assert_eq!(fs::read(bench.path("kept.tsv")).unwrap(), plain, "{dtype}");
        }
    }
    let folded: Vec<PathBuf> = fs::read_dir(bench.path("kept")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folded.len(), 2, "one for each type");
    for part in folded.iter().flat_map(|folder| [folder.join("member-0-table-0"), folder.join("member-1-table-0")]) {
        bench.ok(&format!("verify {}", part.display()));
    }
    // Another model folds anew; a part that is gone or damaged is made again.
    bench.ok("train --pairs pairs.tsv --rna rna --partner protein --config net.toml --members 2 --seed 9 --out model --force");
    bench.ok(&format!("{SCREEN} --top-k 5 --folded kept --out kept.tsv"));
    assert_eq!(fs::read_dir(bench.path("kept")).unwrap().count(), 3);
    bench.ok(&format!("{SCREEN} --top-k 5 --out plain.tsv"));
    fs::remove_dir_all(folded[0].join("member-0-table-0")).unwrap();
    for entry in fs::read_dir(bench.path("kept")).unwrap() {
        let part = entry.unwrap().path().join("member-1-table-0/vec/part-00000.safetensors");
        let bytes = fs::read(&part).unwrap();
        fs::write(&part, &bytes[..bytes.len() - 4]).unwrap();
    }
    bench.ok(&format!("{SCREEN} --top-k 5 --folded kept --out kept.tsv"));
    assert_eq!(fs::read(bench.path("kept.tsv")).unwrap(), fs::read(bench.path("plain.tsv")).unwrap());
    assert!(bench.ends(2, &format!("{SCREEN} --top-k 5 --folded-dtype f16 --out x.tsv")).contains("--folded"));
}

#[test]
fn all_pairs_of_a_small_screen() {
    let bench = Bench::new();
    bench.ok(&format!("{SCREEN} --exhaustive --out all.parquet"));
    bench.ok("verify all.parquet");
    bench.ok(&format!("{SCREEN} --exhaustive --out all.tsv"));
    bench.ok(&format!("{SCREEN} --top-k 999999 --out top.tsv"));
    assert_eq!(bench.table("all.tsv").len(), 1 + 12 * 30);
    assert_eq!(bench.table("all.tsv"), bench.table("top.tsv"));
    assert!(bench.ends(2, &format!("{SCREEN} --exhaustive --top-k 3 --out x.tsv")).contains("--top-k"));
    assert!(bench.ends(2, &format!("{SCREEN} --out x.tsv")).contains("--top-k"));
}

#[test]
fn a_screen_that_was_stopped_goes_on() {
    let bench = Bench::new();
    let letters = b"ACDEFGHIKLMNPQRSTVWY";
    let mut many = String::new();
    let mut state = 1u32;
    for i in 0..60_000 {
        let letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(letters[(state >> 24) as usize % letters.len()])
        };
        let _ = writeln!(many, ">m{i}\n{}", (0..20).map(letter).collect::<String>());
    }
    bench.file("many.fa", &many);
    bench.ok("embed many.fa --encoder triad --out many");
    let screen = "screen --model model --targets rna --library many --top-k 9";
    bench.ok(&format!("{screen} --out whole.tsv"));
    let whole = fs::read(bench.path("whole.tsv")).unwrap();
    let (stand, mut stopped) = (bench.path("cut.tsv.screening"), 0);
    for pause in [0, 3, 10, 20, 40, 80, 160] {
        let mut running = Command::new(env!("CARGO_BIN_EXE_biollmnet"))
            .current_dir(bench.folder.path())
            .args(["--progress", "none", "--threads", "1"])
            .args(format!("{screen} --out cut.tsv").split_whitespace())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !stand.exists() && running.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_millis(pause));
        Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
        match running.wait().unwrap().code() {
            Some(75) => {
                stopped += 1;
                assert!(!bench.path("cut.tsv").exists(), "no table before it is whole");
            }
            Some(0) => break,
            // Before the program has said that it takes signals, it ends as any other.
            None => {}
            code => panic!("{code:?}"),
        }
    }
    assert!(stopped > 0, "it was never stopped in its midst");
    bench.ok(&format!("{screen} --out cut.tsv"));
    assert_eq!(fs::read(bench.path("cut.tsv")).unwrap(), whole);
    assert!(!stand.exists(), "nothing is left");
}

#[test]
fn several_labels_have_a_row_each_and_one_ranks() {
    let bench = Bench::new();
    let pairs = fs::read_to_string(bench.path("pairs.tsv")).unwrap();
    let second = |i: usize| if i == 0 { "cuts" } else { ["1", "0", "0"][i % 3] };
    let rows: Vec<String> = pairs.lines().enumerate().map(|(i, row)| format!("{row}\t{}", second(i))).collect();
    let two = rows.join("\n") + "\n";
    bench.file("two.tsv", &two.replacen("label", "binds", 1));
    bench.ok("train --pairs two.tsv --columns rna=rna,partner=protein,label=binds,cuts --rna rna --partner protein \
         --config net.toml --out model2");
    bench.ok("predict --model model2 --pairs two.tsv --rna rna --partner protein --out p.tsv");
    let predicted = bench.table("p.tsv");
    assert_eq!(predicted[0][..4], ["rna_id", "partner_id", "label_name", "score"]);
    assert_eq!(predicted[0][11..], ["binds", "cuts"]);
    let labels: Vec<&str> = predicted[1..].iter().map(|row| row[2].as_str()).take(4).collect();
    assert_eq!(labels, ["binds", "cuts", "binds", "cuts"]);
    assert!(predicted[1..].iter().all(|row| row[6].is_empty()), "one member has no spread");
    for (flag, name) in [("", "binds"), ("--label cuts", "cuts")] {
        bench.ok(&format!("screen --model model2 --targets rna --library protein --top-k 3 {flag} --out s.tsv"));
        let hits = bench.table("s.tsv");
        assert!(hits.len() == 37 && hits[1..].iter().all(|row| row[4] == name));
        for row in &hits[1..] {
            if let Some(same) = predicted.iter().find(|p| p[..3] == row[2..5]) {
                near(&row[5..12], &same[3..10]);
            }
        }
    }
}
