use super::*;

#[test]
fn the_reference_in_the_docs_is_up_to_date() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/configuration-reference.md"
    );
    let made = reference_markdown();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/configuration-reference.md is out of date; run \
         `cargo run -p ottla -- config reference > docs/configuration-reference.md`, or this test \
         with UPDATE_REFERENCE=1"
    );
}

#[test]
fn every_declared_property_is_in_the_reference() {
    let reference = reference_markdown();
    for property in NODE_PROPERTIES.iter().chain(TOPIC_PROPERTIES) {
        let name = format!("`{}`", property.name);
        assert!(reference.contains(&name), "{name}");
    }
}

#[test]
fn large_numbers_are_also_in_words() {
    assert_eq!(in_words(Unit::Ms, "604800000").as_deref(), Some("7 d"));
    assert_eq!(
        in_words(Unit::Bytes, "1073741824").as_deref(),
        Some("1 GiB")
    );
    assert_eq!(in_words(Unit::Bytes, "1048588"), None);
    assert_eq!(
        in_words(Unit::Count, "2147483647").as_deref(),
        Some("no limit")
    );
}
