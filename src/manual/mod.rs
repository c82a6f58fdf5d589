//! Long documentation, in the program's own repository and in its rustdoc.

#[doc = include_str!("policies.md")]
pub mod policies {}

#[doc = include_str!("forwarding.md")]
pub mod forwarding {}

#[doc = include_str!("audit.md")]
pub mod audit {}

#[doc = include_str!("local_kms.md")]
pub mod local_kms {}

#[doc = include_str!("operations.md")]
pub mod operations {}

#[doc = include_str!("threat_model.md")]
pub mod threat_model {}

#[doc = include_str!("known_attacks.md")]
pub mod known_attacks {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::aws::{Operation, UpstreamQuota};
    use crate::config::Config;
    use crate::policy::{Document, Kind, Parsed};
    use crate::private_file;

    /// Every file below `directory` whose name ends in `.rs` or `.py`.
    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_test_that_the_page_of_attacks_names_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        sources(&root.join("src"), &mut files);
        sources(&root.join("tests"), &mut files);
        let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let page = include_str!("known_attacks.md");
        // A test's name is a sentence: at least three words.
        let names: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)).collect();
        assert!(names.len() > 20, "the page names {} tests", names.len());
        for name in names {
            assert!(
                code.contains(&format!("fn {name}(")) || code.contains(&format!("def {name}(")),
                "no test `{name}`"
            );
        }
    }

    #[test]
    fn the_policies_of_the_page_are_those_of_the_files() {
        let page = include_str!("policies.md");
        let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        let documents: Vec<&str> = blocks.filter(|block| block.starts_with("{\n")).collect();
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
        let files = ["only-wrap.json", "context-scoped.json", "grant-delegated.json"];
        assert_eq!(documents, files.map(|file| fs::read_to_string(policies.join(file)).unwrap()));
    }

    /// The blocks of that language on the page about forwarding.
    fn blocks_of_forwarding(language: &str) -> Vec<&'static str> {
        let page = include_str!("forwarding.md");
        let begin = format!("```{language}\n");
        page.split(&begin).skip(1).filter_map(|rest| rest.split("```").next()).collect()
    }

    #[test]
    fn the_configuration_of_the_page_about_forwarding_has_no_faults() {
        let blocks = blocks_of_forwarding("toml");
        assert_eq!(blocks.len(), 3);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kmsgate.toml");
        fs::write(&file, blocks.concat()).unwrap();
        fs::create_dir(directory.path().join("policies")).unwrap();
        let example = include_bytes!("../../config/credentials.example.toml");
        private_file::write_new(&directory.path().join("credentials.toml"), example).unwrap();
        let faults = Config::load(&file).unwrap_err();
        // The example's principals have policies that are not here; all else is as it should be.
        assert!(faults.as_slice().iter().all(|fault| fault.message.starts_with("there is no policy `")), "{faults}");
    }

    #[test]
    fn the_policies_of_the_page_about_forwarding_are_such_as_aws_takes() {
        let [identity, statement] = blocks_of_forwarding("json")[..] else { panic!("two policies") };
        let of_key = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        for (kind, text) in [(Kind::Identity, identity.to_owned()), (Kind::Key, of_key)] {
            let Parsed { document, warnings, .. } = Document::parse("page", text.as_bytes(), kind).unwrap();
            assert!(warnings.is_empty(), "{warnings:?}");
            assert!(document.allows_nothing() == (kind == Kind::Key));
        }
    }

    #[test]
    fn the_page_about_forwarding_names_every_metric_and_quota() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let page = include_str!("forwarding.md");
        let mut files = Vec::new();
        for directory in ["backend/aws", "limits/share"] {
            sources(&root.join(directory), &mut files);
        }
        let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let ends = |text: &str| text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len());
        let names = |text: &str, before: &str| -> BTreeSet<String> {
            let before = format!("{before}kmsgate_");
            let found = text.split(&before).skip(1);
            let names = found.map(|rest| rest.split_at(ends(rest)).0.to_owned());
            // A test puts the end of a name together.
            names.filter(|name| !name.ends_with('_')).collect()
        };
        let counted = names(&code, "!(\"");
        assert!(counted.len() >= 12, "{counted:?}");
        assert_eq!(names(page, "`"), counted);
        let operations: Vec<_> = Operation::ALL.iter().map(|operation| operation.name().to_lowercase()).collect();
        for quota in UpstreamQuota::ALL {
            let name = quota.name();
            let of_operation = operations.contains(&name.replace('_', ""));
            let of_pair = name.starts_with("data_key_pair_");
            assert!(of_operation || of_pair || page.contains(&format!("`{name}`")), "{name}");
        }
    }

    fn is_test_name(text: &str) -> bool {
        text.matches('_').count() >= 3
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
    }
}
