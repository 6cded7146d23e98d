//! What a command surface says: the one definition of its text, and how one is told from other files.

use kaizen_proto::families::gotcha::{GotchaInspect, GotchaList, GotchaQuery};
use kaizen_proto::families::learning::{
    LearnedInspect, LearnedList, LearnedQuery, LearningInspect, LearningList, LearningQuery,
};
use kaizen_proto::operation::Operation as _;

/// One rung of the lessons ladder, and the file that names its commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Surface {
    /// The file's name.
    pub(super) file: &'static str,
    title: &'static str,
    meaning: &'static str,
    list: &'static str,
    query: &'static str,
    inspect: &'static str,
}

/// The folder that the surfaces of a directory stand in.
pub(super) const FOLDER: &str = "evals";

/// The surfaces, in the order in which they are reported.
pub(super) const SURFACES: [Surface; 3] = [
    Surface {
        file: "GOTCHA.md",
        title: "GOTCHA",
        meaning: "an observed failure, or the suspicion of one, that nobody has explained yet",
        list: GotchaList::CODE,
        query: GotchaQuery::CODE,
        inspect: GotchaInspect::CODE,
    },
    Surface {
        file: "LEARNED.md",
        title: "LEARNED",
        meaning: "a LEARNING that has been built into scripts, evals, documents or behaviour",
        list: LearnedList::CODE,
        query: LearnedQuery::CODE,
        inspect: LearnedInspect::CODE,
    },
    Surface {
        file: "LEARNING.md",
        title: "LEARNING",
        meaning: "a GOTCHA whose cause and correction were investigated and validated",
        list: LearningList::CODE,
        query: LearningQuery::CODE,
        inspect: LearningInspect::CODE,
    },
];

/// The sentence by which a stub is known.
const MARKER: &str = "This file is a Kaizen command surface";

/// The command that a stub names: ours, or that of the Python harness.
const COMMANDS: [&str; 2] = ["kaizenctl", "python kaizen.py"];

impl Surface {
    /// The text of the stub.
    pub(super) fn stub(&self) -> String {
        let Surface { title, meaning, list, query, inspect, .. } = self;
        format!(
            "# {title}\n\n\
             {MARKER}: the database is the truth, and nothing written below is read back.\n\n\
             A {title} is {meaning}.\n\n\
             - list: `kaizenctl {list} --json`\n\
             - query: `kaizenctl {query} --query TEXT --json`\n\
             - inspect: `kaizenctl {inspect} --id ID --json`\n\n\
             Formerly `python kaizen.py {list}`, `python kaizen.py {query}`, `python kaizen.py {inspect}`.\n\
             Generated views may be pasted below on request.\n"
        )
    }
}

/// Whether a file is a command stub, whatever was pasted into it.
pub(super) fn is_stub(contents: &[u8]) -> bool {
    let text = String::from_utf8_lossy(contents);
    text.contains(MARKER) && COMMANDS.iter().any(|command| text.contains(command))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_surfaces_of_this_repository_are_the_stubs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(FOLDER);
        for surface in &SURFACES {
            let text = std::fs::read_to_string(folder.join(surface.file)).unwrap();
            assert_eq!(text, surface.stub(), "{}", surface.file);
        }
    }

    #[test]
    fn a_stub_names_its_commands_in_both_forms() {
        for (surface, codes) in
            SURFACES.iter().zip([["G2", "G3", "G4"], ["L7", "L8", "L9"], ["L4", "L5", "L6"]])
        {
            let text = surface.stub();
            assert!(text.starts_with(&format!("# {}\n", surface.file.strip_suffix(".md").unwrap())));
            assert!(is_stub(text.as_bytes()));
            for code in codes {
                for command in COMMANDS {
                    assert!(text.contains(&format!("`{command} {code}")), "{command} {code}: {text}");
                }
            }
        }
    }

    #[test]
    fn the_marker_and_a_command_make_a_stub() {
        assert!(is_stub(b"\xff\xfe This file is a Kaizen command surface. `python kaizen.py G2` \xc3"));
        assert!(is_stub(b"`kaizenctl G2`. This file is a Kaizen command surface"));
        for other in ["", "kaizenctl G2", "This file is a Kaizen command surface", "# GOTCHA\n"] {
            assert!(!is_stub(other.as_bytes()), "{other}");
        }
    }
}
