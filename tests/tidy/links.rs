//! Links of the documents lead somewhere.

#[test]
fn links_between_documents_lead_somewhere() {
    for file in crate::files(&crate::root(), ".md") {
        let text = std::fs::read_to_string(&file).expect("a document can be read");
        let folder = file.parent().expect("a file lies in a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{}: the link to {target} is broken", file.display());
        }
    }
}
