//! `--filter KEY=VALUE`: what one command knows of it, and a clear error for the rest.

use std::collections::BTreeMap;

use crate::error::CommandError;

/// Filters that were given: several of one key are alternatives, several keys have all to fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads filters of which this command knows `keys`.
    pub(super) fn parse(texts: &[String], keys: &[&str]) -> Result<Self, CommandError> {
        let mut filters = Self::default();
        for text in texts {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            if !keys.contains(&key) {
                return Err(CommandError::Usage(format!("invalid filter `{text}`: expected {}=VALUE", keys.join("=VALUE or "))));
            }
            if value.is_empty() {
                return Err(CommandError::Usage(format!("invalid filter `{text}`: expected {key}=VALUE")));
            }
            filters.0.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(filters)
    }

    /// What was given for `key`.
    pub(super) fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Tells whether one of the values of `key` fits; without any, everything does.
    pub(super) fn fits(&self, key: &str, fit: impl Fn(&str) -> bool) -> bool {
        self.0.get(key).is_none_or(|values| values.iter().any(|value| fit(value)))
    }

    /// `dangling=true`: what nobody uses; `dangling=false`: what somebody does.
    pub(super) fn fits_dangling(&self, dangling: bool) -> bool {
        self.fits("dangling", |value| matches!(value, "true" | "1") == dangling)
    }

    /// `label=key`, `label=key=value`; here all have to fit.
    pub(super) fn fits_labels(&self, labels: &serde_json::Value) -> bool {
        let fits = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels[key].as_str() == Some(value),
            None => labels.get(wanted).is_some(),
        };
        self.0.get("label").is_none_or(|labels| labels.iter().all(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_key_has_to_fit_and_all_labels() {
        let parse = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Filters::parse(&texts, &["name", "label", "dangling"])
        };
        let filters = parse(&["name=a", "name=b", "label=x", "label=y=1", "dangling=true"]).unwrap();
        assert!(filters.fits("name", |name| name == "b") && !filters.fits("name", |name| name == "c"));
        assert!(filters.fits("driver", |_| false), "nothing was asked of it");
        let labels = |y: &str| serde_json::json!({ "x": "", "y": y });
        assert!(filters.fits_labels(&labels("1")) && !filters.fits_labels(&labels("2")));
        assert!(filters.fits_dangling(true) && !filters.fits_dangling(false));
        assert!(parse(&["size=1"]).is_err() && parse(&["name="]).is_err() && parse(&["name"]).is_err());
    }
}
