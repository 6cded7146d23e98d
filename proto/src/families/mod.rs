//! The families of operations. A family has one letter in its codes and one file name everywhere: here, among the
//! daemon's handlers and among the tests.

pub mod artifact;
pub mod core;
pub mod evidence;
pub mod gotcha;
pub mod irl;
pub mod lab;
pub mod learning;
pub mod migration;
pub mod policy;
pub mod quality;
pub mod record;
pub mod report;
pub mod source;
pub mod trace;
pub mod work;

use crate::operation::Card;

/// One family: its name, what it is for, and its operations.
#[derive(Clone, Copy)]
pub struct Family {
    /// The letter that starts its codes.
    pub letter: char,
    /// The name, as in the file names.
    pub name: &'static str,
    /// One line on what it is for.
    pub purpose: &'static str,
    /// Its operations, in the order of their codes.
    pub cards: &'static [Card],
}

/// All families, in the order in which people read them.
pub const FAMILIES: &[Family] = &[
    Family {
        letter: 'K',
        name: "core",
        purpose: "find operations and records; check, back up, restore, move and clean the data plane",
        cards: core::CARDS,
    },
    Family {
        letter: 'W',
        name: "work",
        purpose: "tasks, plans, and the packets that agents hand to each other",
        cards: work::CARDS,
    },
    Family {
        letter: 'G',
        name: "gotcha",
        purpose: "pitfalls: observed failures and suspicions",
        cards: gotcha::CARDS,
    },
    Family {
        letter: 'L',
        name: "learning",
        purpose: "validated lessons and what they changed",
        cards: learning::CARDS,
    },
    Family {
        letter: 'Q',
        name: "quality",
        purpose: "proofs, verifications, evals, anti-patterns, and checks of texts and payloads",
        cards: quality::CARDS,
    },
    Family {
        letter: 'M',
        name: "migration",
        purpose: "Markdown files of lessons that become command surfaces",
        cards: migration::CARDS,
    },
    Family {
        letter: 'R',
        name: "report",
        purpose: "what a session needs to know to start, and documents for people",
        cards: report::CARDS,
    },
    Family {
        letter: 'S',
        name: "source",
        purpose: "what the project relies on from outside",
        cards: source::CARDS,
    },
    Family { letter: 'I', name: "irl", purpose: "decisions reviewed against reality", cards: irl::CARDS },
    Family {
        letter: 'A',
        name: "artifact",
        purpose: "files of the project, referenced by hash",
        cards: artifact::CARDS,
    },
    Family {
        letter: 'E',
        name: "evidence",
        purpose: "files that are read, taken apart, and found again by what they say",
        cards: evidence::CARDS,
    },
    Family {
        letter: 'X',
        name: "policy",
        purpose: "the user's private rules for agents",
        cards: policy::CARDS,
    },
    Family {
        letter: 'T',
        name: "trace",
        purpose: "what agents, tools and models did, and how it was scored",
        cards: trace::CARDS,
    },
    Family {
        letter: 'O',
        name: "lab",
        purpose: "proposals to improve a contract, and how they measure up",
        cards: lab::CARDS,
    },
];

/// Every operation of the contract.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    FAMILIES.iter().flat_map(|family| family.cards)
}

/// The operation with this code or alias, in any case.
pub fn find(name: &str) -> Option<&'static Card> {
    cards().find(|card| card.is_called(name))
}

/// The family with this name or letter, in any case.
pub fn find_family(name: &str) -> Option<&'static Family> {
    let name = name.to_ascii_lowercase();
    FAMILIES.iter().find(|family| {
        family.name == name || (name.len() == 1 && name.starts_with(family.letter.to_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_aliases_and_methods_are_unique() {
        let mut names = BTreeSet::new();
        let mut methods = BTreeSet::new();
        for card in cards() {
            for name in card.names() {
                assert!(names.insert(name.to_ascii_lowercase()), "{name} is taken");
            }
            assert!(methods.insert(card.method), "{} is taken", card.method);
        }
        for family in FAMILIES {
            assert!(family.cards.iter().all(|card| card.code.starts_with(family.letter)), "{}", family.name);
            assert!(family.cards.is_sorted_by_key(Card::order), "{} is out of order", family.name);
        }
    }

    #[test]
    fn twins_name_parameters_that_exist() {
        for card in cards() {
            let schema = (card.params_schema)();
            let properties = schema.get("properties").and_then(serde_json::Value::as_object);
            for twin in card.twins {
                assert!(
                    properties.is_some_and(|fields| fields.contains_key(twin.field)),
                    "{} {}",
                    card.code,
                    twin.field
                );
            }
        }
    }

    #[test]
    fn examples_start_with_their_own_operation() {
        for card in cards() {
            assert!(card.example.starts_with(&format!("kaizenctl {}", card.code)), "{}", card.code);
        }
    }
}
