//! The resources in `deploy/resources`, which people begin with, can be carried out.

use std::path::Path;

use ottla_operator::offline::{self, Format};
use ottla_operator::render::Settings;

#[test]
fn every_resource_to_begin_with_is_valid_and_becomes_manifests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/resources");
    let settings = Settings {
        image: "ottla:test".to_owned(),
        image_pull_policy: None,
        cluster_domain: "cluster.local".to_owned(),
    };
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let rendered = offline::render(&text, &settings, "default", Format::Yaml);
        let rendered = rendered.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            rendered.text.contains("kind: StatefulSet"),
            "{}",
            path.display()
        );
        // That a topic has no manifest is no warning about it.
        let is_warning = |text: &&String| !text.contains("becomes a topic");
        let warnings: Vec<_> = rendered.warnings.iter().filter(is_warning).collect();
        assert!(warnings.is_empty(), "{}: {warnings:?}", path.display());
        files += 1;
    }
    assert!(files >= 4, "{files} files in {}", folder.display());
}
