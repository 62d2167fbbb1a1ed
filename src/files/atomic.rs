//! Writing a file so that its name holds either the old content or the whole new one, never a part.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::digest::{digest_line, digest_path};
use crate::error::{Error, Result, bytes};

/// A file under a temporary name in the folder of its target; [`commit`](Self::commit) puts it in place.
///
/// Dropping it without a commit removes it. What a killed process left behind is swept when the same target is
/// written again; temporary files of a process that lives are locked and stay. A target that is no regular file
/// (`/dev/stdout`, a named pipe) is written directly.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    sink: Sink,
    hasher: blake3::Hasher,
}

#[derive(Debug)]
enum Sink {
    Staged(BufWriter<NamedTempFile>),
    Direct(BufWriter<File>),
}

impl AtomicFile {
    /// Begins to write `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when its folder is absent or cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // A link keeps pointing at its target: the target is replaced, not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let sink = match fs::metadata(&target) {
            Ok(found) if found.is_dir() => {
                return Err(Error::usage(
                    format!("cannot write {}: it is a folder", path.display()),
                    "name a file, not a folder",
                ));
            }
            Ok(found) if !found.is_file() => {
                let file = File::options().write(true).open(&target).map_err(Error::io("write", path))?;
                Sink::Direct(BufWriter::new(file))
            }
            _ => Sink::Staged(BufWriter::with_capacity(1 << 18, stage(&target).map_err(Error::io("write", path))?)),
        };
        Ok(Self { target, sink, hasher: blake3::Hasher::new() })
    }

    /// Flushes to the disk and puts the file in place.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk; the target then keeps its old content.
    pub fn commit(self) -> Result<()> {
        self.settle()?.map_or(Ok(()), Settled::put_in_place)
    }

    /// [`commit`](Self::commit), and with it `<file>.b3` beside the file for `verify`. Both are on the disk before either
    /// takes its place, so that a full one leaves the old pair.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn commit_with_digest(self) -> Result<()> {
        Self::commit_together(vec![self])
    }

    /// The same for several files: all are on the disk before the first takes its place.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn commit_together(files: Vec<Self>) -> Result<()> {
        let mut settled = Vec::with_capacity(2 * files.len());
        for file in files {
            let (hex, path) = (file.hasher.finalize().to_hex(), digest_path(&file.target));
            let line = digest_line(&file.target, &hex);
            let Some(file) = file.settle()? else { continue };
            let mut beside = Self::create(&path)?;
            beside.write_all(line.as_bytes()).map_err(Error::io("write", &path))?;
            settled.push(file);
            settled.extend(beside.settle()?);
        }
        settled.into_iter().try_for_each(Settled::put_in_place)
    }

    /// Flushes to the disk; nothing is left to be done where there is no temporary name.
    fn settle(self) -> Result<Option<Settled>> {
        let Self { target, sink, hasher } = self;
        let failed = |e| Error::io("write", &target)(sized(e, hasher.count(), "it takes"));
        match sink {
            Sink::Direct(mut file) => file.flush().map_err(failed).map(|()| None),
            Sink::Staged(buffer) => {
                let staged = buffer.into_inner().map_err(|e| failed(e.into_error()))?;
                staged.as_file().sync_all().map_err(failed)?;
                Ok(Some(Settled { staged, target }))
            }
        }
    }
}

/// A file that is on the disk, under its temporary name.
struct Settled {
    staged: NamedTempFile,
    target: PathBuf,
}

impl Settled {
    fn put_in_place(self) -> Result<()> {
        let (file, name) = self.staged.into_parts();
        fs::rename(&name, &self.target).map_err(Error::io("write", &self.target))?;
        // Nothing has this name any more; the lock went with the file to its place.
        let _ = name.keep();
        drop(file);
        sync_folder(folder_of(&self.target))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let done = match &mut self.sink {
            Sink::Staged(file) => file.write(chunk),
            Sink::Direct(file) => file.write(chunk),
        };
        let so_far = self.hasher.count() + chunk.len() as u64;
        let n = done.map_err(|e| sized(e, so_far, "it takes at least"))?;
        self.hasher.update(&chunk[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        let done = match &mut self.sink {
            Sink::Staged(file) => file.flush(),
            Sink::Direct(file) => file.flush(),
        };
        done.map_err(|e| sized(e, self.hasher.count(), "it takes at least"))
    }
}

/// Writes `bytes` to `path` atomically.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(&path)?;
    file.write_all(bytes).map_err(Error::io("write", &path))?;
    file.commit()
}

/// Writes `bytes` to `path` atomically, and its digest to `<path>.b3`.
///
/// # Errors
/// [`Error::Io`].
pub fn write_with_digest(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(&path)?;
    file.write_all(bytes).map_err(Error::io("write", &path))?;
    file.commit_with_digest()
}

/// A full disk with the size of what it has no room for.
pub(super) fn sized(error: io::Error, size: u64, takes: &str) -> io::Error {
    let kind = error.kind();
    let full = matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if full { io::Error::new(kind, format!("no space is left on the disk, {takes} {}", bytes(size))) } else { error }
}

/// Makes the names in a folder durable; a system that cannot do so for folders is left alone.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(folder).and_then(|f| f.sync_all()) {
        Err(e) if !matches!(e.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Err(Error::io("write", folder)(e))
        }
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

fn stage(target: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(target);
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    prefix.push(".");
    sweep(folder, prefix.as_encoded_bytes());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask applies, as to any other new file.
        builder.permissions(Permissions::from_mode(0o666));
    }
    let staged = builder.tempfile_in(folder)?;
    // Where locks do not exist, sweeping finds none held; the name is random all the same.
    let _ = staged.as_file().try_lock();
    Ok(staged)
}

/// Removes temporary files of this target that no living process holds. Best effort: a name that stays is harmless.
fn sweep(folder: &Path, prefix: &[u8]) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(prefix)
            && name.ends_with(b".tmp")
            && File::open(entry.path()).is_ok_and(|f| f.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_content_stays_until_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_file(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
        write_with_digest(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let line = fs::read_to_string(folder.path().join("a.txt.b3")).unwrap();
        assert_eq!(line, format!("{}  a.txt\n", blake3::hash(b"new").to_hex()));
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_living_one_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(folder.path().join(".a.txt.dead.tmp"), b"x").unwrap();
        fs::write(folder.path().join(".b.txt.other.tmp"), b"x").unwrap();
        let living = AtomicFile::create(&path).unwrap();
        let second = AtomicFile::create(&path).unwrap();
        assert_eq!(names(folder.path()).len(), 3, "two living ones and the one of another target");
        drop((living, second));
        assert_eq!(names(folder.path()), [".b.txt.other.tmp"]);
    }

    #[test]
    fn a_missing_folder_and_a_folder_in_its_place_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_file(folder.path().join("no/a.txt"), b"").unwrap_err();
        assert!(error.to_string().contains("no/a.txt"), "{error}");
        assert!(write_file(folder.path(), b"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_keeps_pointing_at_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_file(&link, b"new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
