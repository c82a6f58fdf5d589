//! Long documentation, in the program's own repository and in its rustdoc.

#[doc = include_str!("policies.md")]
pub mod policies {}

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
    use std::fs;
    use std::path::{Path, PathBuf};

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

    fn is_test_name(text: &str) -> bool {
        text.matches('_').count() >= 3
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
    }
}
