//! References of images: `[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]`.

/// Its tag, which is not the port of its registry.
pub(crate) fn tag(image: &str) -> Option<&str> {
    split(image).1
}

/// The image of the same repository with another tag.
pub(super) fn tagged(image: &str, tag: &str) -> String {
    format!("{}:{tag}", split(image).0)
}

/// The repository and the tag, without a digest.
fn split(image: &str) -> (&str, Option<&str>) {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_tag_of_an_image() {
        for (image, expected, other) in [
            ("ottla:0.1.0", Some("0.1.0"), "ottla:0.3"),
            (
                "registry:5000/team/ottla:0.2@sha256:00",
                Some("0.2"),
                "registry:5000/team/ottla:0.3",
            ),
            (
                "registry:5000/team/ottla",
                None,
                "registry:5000/team/ottla:0.3",
            ),
            ("ottla@sha256:00", None, "ottla:0.3"),
        ] {
            assert_eq!(tag(image), expected, "{image}");
            assert_eq!(tagged(image, "0.3"), other);
        }
    }
}
