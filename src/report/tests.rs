//! The report as a whole.
use super::{RenderedFile, render, sample};

#[test]
#[ignore = "writes the sample reports into the temporary folder, to be looked at"]
fn write_samples() -> std::io::Result<()> {
    let folder = std::env::temp_dir().join("report");
    for (name, evaluation) in [
        ("binary", sample::binary()),
        ("regression", sample::regression()),
        ("crowded", sample::crowded()),
        ("empty", sample::empty()),
    ] {
        for RenderedFile { path, contents } in render(&evaluation) {
            let file = folder.join(name).join(path);
            std::fs::create_dir_all(file.parent().unwrap_or(&folder))?;
            std::fs::write(file, contents)?;
        }
    }
    Ok(())
}
