// SPDX-License-Identifier: Apache-2.0
//! The packs that come with the software, their schema, and the cases that show what they do.

/// The schema of facts and actions that every pack is checked against.
pub const SHIPPED_SCHEMA: &str = include_str!("../../../../policies/schema.cedarschema");

/// The facts of the gates on which the cases of the shipped packs are built.
pub const SHIPPED_FACTS: &str = include_str!("../../../../policies/gates.facts.toml");

macro_rules! shipped {
    ($($name:literal)*) => {
        /// The packs that come with the software: name and text, in the order of the names.
        pub const SHIPPED_PACKS: [(&str, &str); [$($name),*].len()] =
            [$(($name, include_str!(concat!("../../../../policies/", $name, ".cedar")))),*];

        /// The cases of the shipped packs: name of the file and text.
        pub const SHIPPED_CASES: [(&str, &str); [$($name),*].len()] = [
            $((concat!($name, ".cases.toml"), include_str!(concat!("../../../../policies/", $name, ".cases.toml")))),*
        ];
    };
}

shipped! {
    "canada-public-sector"
    "data-transfer"
    "eu-ai-act"
    "foreign-law-exposure"
    "gates"
    "gdpr"
    "pipeda-and-quebec"
    "sovereignty"
}
