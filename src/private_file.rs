//! Files that hold secrets: read only if nobody but their owner may read them, and written so.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use zeroize::Zeroizing;

use crate::faults::Fault;
use crate::random;

/// Bits of a file's mode that give its group or others any access.
const OPEN_TO_OTHERS: u32 = 0o077;
/// Of a file that holds secrets: its owner reads and writes it.
const PRIVATE: u32 = 0o600;
/// A credentials file of 10,000 principals has 4 MB; more is a wrong file.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The text of a file that holds secrets. The mode is asked of the open file, not of its name, so that it
/// cannot change in between.
///
/// # Errors
///
/// A fault if the file cannot be read, is no plain file, is no UTF-8, is larger than 16 MiB, or if its group
/// or others have any access to it. Never quotes the file.
pub fn read(file: &Path) -> Result<Zeroizing<String>, Fault> {
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    read_opened(file, opened)
}

/// As [`read`]; `None` if there is no such file.
///
/// # Errors
///
/// As [`read`].
pub fn read_if_exists(file: &Path) -> Result<Option<Zeroizing<String>>, Fault> {
    match File::open(file) {
        Ok(opened) => read_opened(file, opened).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(file, &error)),
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Fault {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "create the file or correct the path",
        io::ErrorKind::PermissionDenied => "make it readable for the user that kmsgate runs as",
        _ => "name a readable file",
    };
    Fault::of_file(file, format!("cannot be read: {error}"), hint)
}

fn read_opened(file: &Path, opened: File) -> Result<Zeroizing<String>, Fault> {
    let failed = |error: io::Error| unreadable(file, &error);
    let metadata = opened.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Fault::of_file(file, "is not a plain file", "name a file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OPEN_TO_OTHERS != 0 {
        let message = format!("holds secrets and has mode {mode:04o}, so more than its owner can use it");
        return Err(Fault::of_file(file, message, format!("chmod 600 {}", file.display())));
    }
    if metadata.len() > LARGEST {
        return Err(Fault::of_file(file, "is larger than 16 MiB", "name the file that was meant"));
    }
    // With room from the start the text is never moved, and no copy of it stays behind in memory.
    let room = usize::try_from(metadata.len()).unwrap_or_default().saturating_add(1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    match opened.take(LARGEST).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Fault::of_file(file, "is not UTF-8 text", "save it as UTF-8"))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Replaces `file` by one with mode 0600, the same owner and these contents, or leaves it as it was: the new file is
/// written beside it, synced, and renamed over it. Of a symbolic link it is what the link leads to that is replaced.
///
/// # Errors
///
/// What the file system answers; not to be allowed to give the new file to the old one's owner among it.
pub fn replace(file: &Path, contents: &[u8]) -> io::Result<()> {
    let file = &fs::canonicalize(file)?;
    let old = fs::metadata(file)?;
    publish(file, contents, |made| {
        let new = fs::metadata(made)?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            chown(made, Some(old.uid()), Some(old.gid()))?;
        }
        fs::rename(made, file)
    })
}

/// Makes a directory for its owner alone, and those it stands in, where they are not there yet.
///
/// # Errors
///
/// What the file system answers.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// The directory that `file` is in.
#[must_use]
pub fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Writes a file with mode 0600 that must not exist yet, and syncs it and its name. Whatever ends the process, the file
/// is there whole or not at all.
///
/// # Errors
///
/// What the file system answers.
pub fn write_new(file: &Path, contents: &[u8]) -> io::Result<()> {
    // A link, because a rename would overwrite a file that another process made.
    publish(file, contents, |made| fs::hard_link(made, file))
}

/// Writes a file beside `file` and gives it that name.
fn publish(file: &Path, contents: &[u8], name: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let directory = directory_of(file);
    let unique = random::uuid().map_err(io::Error::other)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(file.file_name().unwrap_or_default());
    hidden.push(format!(".{unique}"));
    let made = directory.join(hidden);
    let named = write(&made, contents).and_then(|()| name(&made));
    // The first error is the one to report; a file left behind is private and harmless, and one renamed is not there.
    let _ = fs::remove_file(&made);
    named?;
    File::open(directory)?.sync_all()
}

fn write(file: &Path, contents: &[u8]) -> io::Result<()> {
    let mut created = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(file)?;
    // The process's umask may have taken bits off at creation.
    created.set_permissions(Permissions::from_mode(PRIVATE))?;
    created.write_all(contents)?;
    created.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_read_and_one_open_to_others_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        write_new(&file, b"wJalrXUtnFEMI").unwrap();
        assert_eq!(read(&file).unwrap().as_str(), "wJalrXUtnFEMI");
        for mode in [0o644, 0o640, 0o610, 0o604, 0o602] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let fault = read(&file).unwrap_err();
            assert!(fault.message.contains(&format!("{mode:04o}")), "{fault}");
            assert_eq!(fault.hint.as_deref(), Some(format!("chmod 600 {}", file.display()).as_str()));
        }
        fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
        assert!(read(&file).is_ok());
    }

    #[test]
    fn what_is_no_readable_text_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(directory.path()).unwrap_err().message.contains("plain file"));
        assert!(read(&directory.path().join("none")).unwrap_err().message.contains("cannot be read"));
        assert_eq!(read_if_exists(&directory.path().join("none")).unwrap(), None);
        let binary = directory.path().join("binary");
        write_new(&binary, b"wJalr\xff").unwrap();
        let fault = read(&binary).unwrap_err();
        assert!(fault.message.contains("UTF-8") && !fault.to_string().contains("wJalr"), "{fault}");
    }

    #[test]
    fn replacing_leaves_one_private_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        fs::write(&file, b"old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        replace(&file, b"new").unwrap();
        assert_eq!(read(&file).unwrap().as_str(), "new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_replaced_file_keeps_its_owner_and_the_link_that_leads_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("secret"), directory.path().join("link"));
        write_new(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        // Only root may give a file away.
        let given = chown(&file, Some(65_534), Some(65_534)).is_ok();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().uid() == 65_534, given);
    }

    #[test]
    fn a_new_file_does_not_overwrite() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        write_new(&file, b"old").unwrap();
        assert_eq!(write_new(&file, b"new").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&file).unwrap().as_str(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_is_seen_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let whole = "secret".repeat(100_000);
        for index in 0..20 {
            let file = directory.path().join(index.to_string());
            std::thread::scope(|scope| {
                let seen = scope.spawn(|| {
                    loop {
                        if let Some(text) = read_if_exists(&file).unwrap() {
                            return text.len();
                        }
                    }
                });
                write_new(&file, whole.as_bytes()).unwrap();
                assert_eq!(seen.join().unwrap(), whole.len());
            });
        }
    }
}
