//! Writing a backbone folder, tensor by tensor.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use serde_json::{Map, Value, json};

use super::config::{BackboneConfig, Network, SCHEMA, SourceNote};
use super::digest::WeightsDigest;
use super::layout::{Expected, Role};
use super::{CONFIG, KIND, WEIGHTS};
use crate::error::{Error, Result};
use crate::files::OutputFolder;
use crate::files::space::space_of;
use crate::progress::{Progress, check_interrupt};
use crate::weights::elements::Element;

/// The numbers begin at a multiple of this, as a mapped file's readers like it.
const ALIGNMENT: usize = 64;
/// Everything in the folder but the weights is smaller than this.
const OTHER_FILES: u64 = 64 << 20;

/// Type of the written numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DtypeChoice {
    /// As they are in the source.
    #[default]
    Stored,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl DtypeChoice {
    /// Type of a tensor that has the type `stored`. Frequencies stay as they are: the reference multiplies them by
    /// positions in the thousands.
    pub(super) fn element(self, stored: Element, role: Role) -> Element {
        match self {
            _ if role == Role::Frequencies => stored,
            Self::Stored => stored,
            Self::F16 => Element::F16,
            Self::F32 => Element::F32,
        }
    }
}

/// A folder that is about to be written.
#[derive(Debug)]
pub(super) struct Plan {
    pub network: Network,
    pub source: SourceNote,
    /// Every tensor and the type of its numbers, in the order of the layout.
    pub tensors: Vec<(Expected, Element)>,
    /// Tokenizer files to copy.
    pub beside: Vec<PathBuf>,
}

impl Plan {
    /// Bytes of the numbers.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|(expected, element)| (expected.n_elements() * element.size()) as u64).sum()
    }

    /// Writes the folder. `produce` is asked for the numbers of each tensor by its place in the plan, and hands them
    /// over in as many pieces as it likes: nothing is held in memory but one piece.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when the disk has no room for it, those of `produce`, and those of [`OutputFolder`]. The folder
    /// stays as it was then.
    pub fn write(
        &self,
        folder: OutputFolder,
        progress: &dyn Progress,
        mut produce: impl FnMut(usize, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<BackboneConfig> {
        self.require_room(folder.target())?;
        let place = folder.place(WEIGHTS)?;
        let failed = || Error::io("write", folder.target().join(WEIGHTS));
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&place).map_err(failed())?);
        // Larger numbers first: every tensor is aligned without gaps.
        let mut order: Vec<usize> = (0..self.tensors.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.tensors[i].1.size()));
        file.write_all(&self.header(&order)?).map_err(failed())?;
        progress.begin("weights", "MB", Some(self.bytes() >> 20));
        let mut hashes: Vec<Hash> = vec![Hash::from([0; 32]); self.tensors.len()];
        let mut written = 0u64;
        for &i in &order {
            let mut hasher = Hasher::new();
            produce(i, &mut |bytes: &[u8]| {
                check_interrupt()?;
                hasher.update(bytes);
                file.write_all(bytes).map_err(failed())?;
                progress.advance(((written + bytes.len() as u64) >> 20) - (written >> 20));
                written += bytes.len() as u64;
                Ok(())
            })?;
            hashes[i] = hasher.finalize();
        }
        file.flush().map_err(failed())?;
        progress.finish();
        if written != self.bytes() {
            let what = format!("{written} bytes of weights were made, {} planned", self.bytes());
            return Err(Error::data(what, "this is a defect of the program: please report the command"));
        }
        let mut digest = WeightsDigest::new(&self.network)?;
        for ((expected, element), numbers) in self.tensors.iter().zip(&hashes) {
            digest.add(&expected.name, element.name(), &expected.shape, numbers);
        }
        let config = BackboneConfig {
            schema: SCHEMA,
            name: self.network.name(),
            weights_digest: digest.finish(),
            network: self.network.clone(),
            source: self.source.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&config).map_err(|e| unwritable(&e))?;
        text.push(b'\n');
        folder.write(CONFIG, &text)?;
        for path in &self.beside {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            folder.write(&name, &std::fs::read(path).map_err(Error::io("read", path))?)?;
        }
        folder.commit(json!({ "name": config.name, "weights_digest": config.weights_digest }))?;
        Ok(config)
    }

    fn require_room(&self, target: &Path) -> Result<()> {
        let needed = self.bytes() + OTHER_FILES;
        match space_of(target) {
            Some(space) if space.free < needed => {
                Err(Error::NoSpace { path: target.to_path_buf(), needed, free: space.free })
            }
            _ => Ok(()),
        }
    }

    /// Length, names, types, shapes and places, filled up with blanks to the alignment.
    fn header(&self, order: &[usize]) -> Result<Vec<u8>> {
        let mut entries = Map::new();
        entries.insert("__metadata__".to_owned(), json!({ "format": "biollmnet" }));
        let mut end = 0;
        for &i in order {
            let (expected, element) = &self.tensors[i];
            let start = end;
            end += expected.n_elements() * element.size();
            let entry = json!({ "dtype": element.name(), "shape": expected.shape, "data_offsets": [start, end] });
            entries.insert(expected.name.clone(), entry);
        }
        let mut text = serde_json::to_vec(&Value::Object(entries)).map_err(|e| unwritable(&e))?;
        let whole = (size_of::<u64>() + text.len()).next_multiple_of(ALIGNMENT);
        text.resize(whole - size_of::<u64>(), b' ');
        Ok([(text.len() as u64).to_le_bytes().as_slice(), &text].concat())
    }
}

/// Takes the folder that will be written, before the work that it must not waste.
pub(super) fn create(path: &Path, force: bool) -> Result<OutputFolder> {
    OutputFolder::create(path, KIND, force)
}

fn unwritable(e: &serde_json::Error) -> Error {
    Error::data(format!("the description of the weights cannot be written as JSON: {e}"), "report this")
}
