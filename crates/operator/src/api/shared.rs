//! Defaults and rules that several resources have.

use kube::core::Rule;

pub(super) fn replicas() -> i32 {
    3
}

pub(super) fn yes() -> bool {
    true
}

/// Either of the two says what the pods run.
pub(super) fn version_or_image() -> Rule {
    Rule::new("!has(self.version) || !has(self.image)")
        .message(
            "version and image both say what the pods run: leave out image for a version of the \
             operator's own image, or version for an image with its tag",
        )
        .field_path(".version")
}

/// A tag's grammar; its length is bounded by the field.
pub(super) fn version_is_a_tag() -> Rule {
    Rule::new("!has(self.version) || self.version.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message(
            "version is the tag of an image: letters, digits, '_', '.' and '-', such as 0.1.0; for \
             another repository or a digest use image",
        )
        .field_path(".version")
}

/// A quantity as text: rules can only be computed where its length is bounded.
pub(super) fn quantity_schema() -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 15 })
}
