//! Row 7: damaged and hostile weights. They are refused when they are opened, which is before any device is asked for memory:
//! what opens them has no device. Nothing of a pickle is run.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use biollmnet::models::backbone::{Backbone, ImportOptions, import};
use biollmnet::progress::Silent;
use biollmnet::train::Model;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use zip::CompressionMethod;

use crate::checkpoint::{Saved, archive, pickle, safetensors, state_dict, torch, torch_legacy};
use crate::row::Row;
use crate::small_models::{ESM_CONFIG, hugging_face, numbers, rinalmo};
use crate::support::files;
use crate::workshop::workshop;

const FAULT: &str = "weights cut short, bits flipped, wrong tensors, hostile pickles";

#[test]
fn damaged_weights_are_refused_a_few_times() {
    matrix_row(Row::fast(7, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn damaged_weights_are_refused() {
    matrix_row(Row::full(7, FAULT));
}

/// One kind of weights: its bytes in a folder, and how it is opened: the digest of what was read.
struct Weights {
    name: &'static str,
    folder: PathBuf,
    /// The files that are damaged.
    files: Vec<PathBuf>,
    open: fn(&Path) -> biollmnet::error::Result<String>,
    /// A digest was written with it, so that any flipped bit is seen. Else one may pass if it changed no number.
    signed: bool,
    /// Bytes of numbers at the end of a file of a kind that has no sums: a flip there cannot be seen, and is not tried;
    /// one before them can seldom go unseen.
    unsigned_tail: usize,
}

fn import_torch(folder: &Path) -> biollmnet::error::Result<String> {
    let out = tempfile::tempdir().map_err(biollmnet::error::Error::io("create", folder))?;
    let options = ImportOptions { heads: Some(2), ..ImportOptions::default() };
    let imported = import(&folder.join("weights.pt"), &options, &out.path().join("out"), &Silent);
    // What is refused leaves nothing.
    assert_eq!(imported.is_ok(), out.path().join("out").exists());
    Ok(imported?.config.weights_digest)
}

fn open_backbone(folder: &Path) -> biollmnet::error::Result<String> {
    Ok(Backbone::open(folder)?.config.weights_digest)
}

fn open_model(folder: &Path) -> biollmnet::error::Result<String> {
    let model = Model::load(folder)?;
    let members = model.members.iter().flat_map(|member| bytemuck::cast_slice::<f32, u8>(&member.parameters).to_vec());
    Ok(blake3::hash(&members.collect::<Vec<u8>>()).to_string())
}

fn import_numpy(folder: &Path) -> biollmnet::error::Result<String> {
    use biollmnet::embed::import::{ImportOptions, import};
    let out = tempfile::tempdir().map_err(biollmnet::error::Error::io("create", folder))?;
    let options = ImportOptions {
        ids: Some(folder.join("ids.txt")),
        encoder_name: "x".to_owned(),
        modality: String::new(),
        dtype: biollmnet::embed::store::Dtype::F32,
        pooling: None,
        force: false,
    };
    import(&folder.join("vectors.npz"), &options, &out.path().join("out"))?;
    Ok(biollmnet::embed::Store::open(out.path().join("out"))?.content_digest().to_owned())
}

fn all_weights(root: &Path) -> Vec<Weights> {
    let write = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    let bench = workshop();
    bench.run(&["import", "esm", "--out", "own", "--force"]).ends_with(0);
    let copy = |name: &str| {
        for file in files(&bench.path(name)) {
            write(
                &format!("{name}/{}", file.strip_prefix(bench.path(name)).unwrap().display()),
                &fs::read(&file).unwrap(),
            );
        }
        (root.join(name), files(&root.join(name)))
    };
    let foreign = hugging_face();
    let numbers: usize = foreign.iter().map(|tensor| tensor.bytes.len()).sum();
    let legacy: usize = rinalmo().iter().map(|tensor| 8 + tensor.bytes.len()).sum();
    write("foreign/config.json", ESM_CONFIG.as_bytes());
    write("numpy/ids.txt", (0..20).map(|i| format!("v{i}")).collect::<Vec<_>>().join("\n").as_bytes());
    let ((own, own_files), (model, model_files)) = (copy("own"), copy("model"));
    vec![
        Weights {
            name: "PyTorch",
            folder: root.join("torch"),
            files: vec![write("torch/weights.pt", &torch(&rinalmo()))],
            open: import_torch,
            signed: false,
            unsigned_tail: 0,
        },
        Weights {
            name: "PyTorch before 1.6",
            folder: root.join("legacy"),
            files: vec![write("legacy/weights.pt", &torch_legacy(&rinalmo()))],
            open: import_torch,
            signed: false,
            unsigned_tail: legacy,
        },
        Weights {
            name: "safetensors",
            folder: root.join("foreign"),
            files: vec![write("foreign/model.safetensors", &safetensors(&foreign))],
            open: open_backbone,
            signed: false,
            unsigned_tail: numbers,
        },
        Weights {
            name: "NumPy",
            folder: root.join("numpy"),
            files: vec![write("numpy/vectors.npz", &npz())],
            open: import_numpy,
            signed: false,
            unsigned_tail: 0,
        },
        Weights {
            name: "an own backbone",
            folder: own,
            files: own_files,
            open: open_backbone,
            signed: true,
            unsigned_tail: 0,
        },
        Weights {
            name: "a fusion model",
            folder: model,
            files: model_files,
            open: open_model,
            signed: true,
            unsigned_tail: 0,
        },
    ]
}

/// Twenty vectors of four numbers as `numpy.savez` writes them.
fn npz() -> Vec<u8> {
    let mut array = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    array.extend(format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (20, 4), }").as_bytes());
    array.extend(numbers(3, 80).iter().flat_map(|x| x.to_le_bytes()));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("arr_0.npy", options).unwrap();
    zip.write_all(&array).unwrap();
    zip.finish().unwrap().into_inner()
}

fn matrix_row(mut row: Row) {
    let root = tempfile::tempdir().unwrap();
    let all = all_weights(root.path());
    let mut rng = row.rng();
    let n = row.count(10, 1000);
    for weights in &all {
        damage(&mut row, weights, n, &mut rng);
    }
    wrong_tensors(&mut row, &root.path().join("wrong"));
    hostile_pickles(&mut row, &root.path().join("hostile"));
    row.note(format!("{n} cuts and {n} flips of each of {} kinds of weights", all.len()));
    row.end();
}

/// Cuts the files short at `n` places and flips `n` bits.
fn damage(row: &mut Row, weights: &Weights, n: usize, rng: &mut ChaCha8Rng) {
    let mut unseen = 0;
    let digest = (weights.open)(&weights.folder).unwrap();
    for i in 0..2 * n {
        let file = &weights.files[i / 2 % weights.files.len()];
        let good = fs::read(file).unwrap();
        let mut bad = good.clone();
        let (cut, at) = (i % 2 == 0, rng.random_range(0..good.len()));
        let at = if cut { at } else { at % (good.len() - weights.unsigned_tail) };
        if cut {
            bad.truncate(at);
        } else {
            bad[at] ^= 1 << rng.random_range(0..8);
        }
        fs::write(file, bad).unwrap();
        let what = if cut { "cut at" } else { "flipped at" };
        row.trial(
            || format!("{}: {} {what} byte {at} of {}", weights.name, file.display(), good.len()),
            || match (weights.open)(&weights.folder) {
                Err(error) => {
                    // What a file is, its first bytes say: of another kind, it may be asked for in a wrong way.
                    let named = error.to_string().contains(&weights.folder.display().to_string());
                    ensure!((named && error.exit_code() == 3) || at < 4, "no file is named: {error}");
                    Ok(())
                }
                Ok(_) if cut || weights.signed => bail!("it is taken"),
                Ok(found) if found == digest => Ok(()),
                Ok(_) if weights.unsigned_tail > 0 => {
                    unseen += 1;
                    Ok(())
                }
                Ok(_) => bail!("other numbers are taken"),
            },
        );
        fs::write(file, good).unwrap();
    }
    if unseen > 0 {
        row.note(format!("{unseen} flips of {}, which has no sums, could not be seen", weights.name));
    }
}

/// `import` refuses `bytes` with a message that has `part`.
fn refused(folder: &Path, bytes: &[u8], part: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("weights.pt"), bytes)?;
    let error = import_torch(folder).err().context("it is taken")?.to_string();
    ensure!(error.contains(part) && error.contains("weights.pt"), "{error}");
    Ok(())
}

/// Each tensor in turn is missing, of another shape, of a type that holds no numbers; one is too many.
fn wrong_tensors(row: &mut Row, folder: &Path) {
    let good = rinalmo();
    // What the network does not need may be anything.
    let needed = (0..good.len()).filter(|&i| !good[i].name.contains("lm_mask_head")).collect::<Vec<_>>();
    for &i in &needed {
        let name = &good[i].name;
        let with = |change: &dyn Fn(&mut Vec<Saved>)| {
            let mut tensors = good.clone();
            change(&mut tensors);
            torch(&tensors)
        };
        let missing = with(&|tensors| drop(tensors.remove(i)));
        row.trial(|| format!("{name} is missing"), || refused(folder, &missing, "'"));
        let shape: Vec<usize> = good[i].shape.iter().map(|n| n + 1).collect();
        let other = with(&|tensors| tensors[i] = Saved::f32(name, &shape, &numbers(i, shape.iter().product())));
        // The width is that of the embedding: with another one there is no such network.
        let part = if i == 0 { "no such network" } else { "'" };
        row.trial(|| format!("{name} has another shape"), || refused(folder, &other, part));
        let whole = with(&|tensors| {
            let bytes = vec![0; good[i].bytes.len() * 2];
            tensors[i] = Saved::new(name, "Long", &good[i].shape, bytes);
        });
        row.trial(|| format!("{name} holds whole numbers"), || refused(folder, &whole, "'"));
    }
    let more = torch(&[good.clone(), vec![Saved::f32("transformer.blocks.0.adapter.weight", &[1], &[0.0])]].concat());
    row.trial(|| "a tensor too many".to_owned(), || refused(folder, &more, "transformer.blocks.0.adapter.weight"));
}

/// Pickles that ask for more than tensors, and archives that would grow.
fn hostile_pickles(row: &mut Row, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let touch = format!("touch {}", folder.join("was-here").display());
    let string = |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let call = |module: &str, name: &str, argument: &[u8]| {
        [format!("c{module}\n{name}\n(").as_bytes(), argument, b"tR".as_slice()].concat()
    };
    let eval = format!("__import__('os').system('{touch}')");
    let good = rinalmo();
    let inside = |odd: &[u8]| [state_dict(&good, false).as_slice(), b"0", odd].concat();
    let nested =
        call("builtins", "getattr", &[call("importlib", "import_module", &string("os")), string("system")].concat());
    for (name, body, part) in [
        ("os.system", call("os", "system", &string(&touch)), "'os.system'"),
        ("posix.system", call("posix", "system", &string(&touch)), "'posix.system'"),
        ("subprocess.Popen", call("subprocess", "Popen", &string(&touch)), "'subprocess.Popen'"),
        ("builtins.eval", call("builtins", "eval", &string(&eval)), "'builtins.eval'"),
        ("builtins.exec of Python 2", call("__builtin__", "execfile", &string(&eval)), "'__builtin__.execfile'"),
        ("a call inside a call", nested, "'"),
        ("a class of torch that is no tensor", call("torch", "hub.load", &string("x")), "'torch.hub.load'"),
    ] {
        for (where_, odd) in [("alone", body.clone()), ("behind weights", inside(&body))] {
            let bytes = archive(&pickle(&odd), &good, CompressionMethod::Stored);
            row.trial(|| format!("{name}, {where_}"), || refused(folder, &bytes, part));
        }
    }
    let deep = pickle(&[vec![b']'; 200_000], vec![b'a'; 199_999]].concat());
    row.trial(
        || "lists within lists".to_owned(),
        || refused(folder, &archive(&deep, &good, CompressionMethod::Stored), "weights.pt"),
    );
    let bomb = archive(&pickle(&vec![b'N'; 50_000_000]), &good, CompressionMethod::Deflated);
    row.trial(|| "a zip bomb".to_owned(), || refused(folder, &bomb, "compressed"));
    row.trial(
        || "something was run".to_owned(),
        || {
            ensure!(!folder.join("was-here").exists());
            Ok(())
        },
    );
}
