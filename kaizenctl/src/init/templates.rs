//! What a project gets. Texts that this repository has for itself are taken from there, so that there is one of each.

use super::block;

/// One file of the minimal project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    /// Its path under the project's root.
    pub(crate) path: &'static str,
    text: &'static str,
    /// Whether only a block of the file is ours.
    pub(crate) is_block: bool,
}

/// All files, in the order in which they are laid and shown.
pub(crate) const TEMPLATES: &[Template] = &[
    block("AGENTS.md", include_str!("../../../AGENTS.md")),
    block("CLAUDE.md", include_str!("../../../CLAUDE.md")),
    whole("Kaizen_System.md", include_str!("../../../Kaizen_System.md")),
    whole("kaizen.toml", include_str!("../../templates/kaizen.toml")),
    whole("setup/SETUP.md", include_str!("../../templates/SETUP.md")),
    whole("evals/README.md", include_str!("../../../evals/README.md")),
    whole("evals/GOTCHA.md", include_str!("../../../evals/GOTCHA.md")),
    whole("evals/LEARNING.md", include_str!("../../../evals/LEARNING.md")),
    whole("evals/LEARNED.md", include_str!("../../../evals/LEARNED.md")),
    whole("evals/seed-cases.jsonl", include_str!("../../../evals/seed-cases.jsonl")),
    whole("AI/work/README.md", include_str!("../../templates/work.md")),
    whole("AI/generation/.gitignore", include_str!("../../templates/folder.gitignore")),
    whole(IGNORE, include_str!("../../templates/AI.gitignore")),
];

/// What keeps records and work out of version control. The last of all, so that it is the last to go.
pub(crate) const IGNORE: &str = "AI/.gitignore";
/// Directories that exist for these files alone, the inner ones first.
pub(crate) const DIRECTORIES: &[&str] = &["setup", "evals", "AI/work", "AI/generation", "AI"];

const fn whole(path: &'static str, text: &'static str) -> Template {
    Template { path, text, is_block: false }
}

const fn block(path: &'static str, text: &'static str) -> Template {
    Template { path, text, is_block: true }
}

impl Template {
    /// The whole file as it is laid where there is none, under this name.
    pub(crate) fn text(&self, name: &str) -> String {
        // A checkout on Windows may have carriage returns.
        let text = self.text.replace("\r\n", "\n");
        if self.is_block {
            format!(
                "# {name}\n\nRules for every agent that works in this project. `AGENTS.md` and `CLAUDE.md` say the \
                 same: change both.\n\n{}\n",
                self.block()
            )
        } else {
            text
        }
    }

    /// The block alone.
    pub(crate) fn block(&self) -> String {
        block::of_template(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rule_files_have_the_same_block() {
        let blocks: Vec<String> =
            TEMPLATES.iter().filter(|template| template.is_block).map(Template::block).collect();
        assert_eq!(blocks.len(), 2);
        assert!(blocks[0].len() > 1000 && blocks[0] == blocks[1]);
    }

    #[test]
    fn no_text_is_empty_or_has_two_places() {
        for (at, template) in TEMPLATES.iter().enumerate() {
            assert!(!template.text("AGENTS.md").trim().is_empty(), "{}", template.path);
            assert!(TEMPLATES[..at].iter().all(|other| other.path != template.path), "{}", template.path);
        }
        assert_eq!(TEMPLATES.last().map(|template| template.path), Some(IGNORE));
    }
}
