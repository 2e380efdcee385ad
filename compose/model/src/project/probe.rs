//! A question that an HTTP probe asks.

use serde::{Deserialize, Serialize};

/// What an HTTP probe asks the container itself, whatever host its URL names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// For the server, with its port if the URL names one: `localhost:8080`.
    pub host: String,
    /// Port of the container.
    pub port: u16,
    /// With its query: `/healthz?full=1`.
    pub path: String,
}

impl HttpProbe {
    /// Reads `http://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a URL such as http://localhost:8080/healthz";
        let rest = url.strip_prefix("http://").ok_or(EXPECTED)?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok().filter(|port| *port > 0).ok_or(EXPECTED)?),
            _ => (host, 80),
        };
        // It becomes lines of a request.
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || !plain(name) || !plain(path) || name.contains('@') {
            return Err(EXPECTED);
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls_and_refuses_what_is_none() {
        let check = |url: &str, expected: Option<(&str, u16, &str)>| {
            let parsed = HttpProbe::parse(url).ok();
            let parts = parsed.as_ref().map(|probe| (probe.host.as_str(), probe.port, probe.path.as_str()));
            assert_eq!(parts, expected, "{url}");
        };
        check("http://localhost", Some(("localhost", 80, "/")));
        check("http://shop.example:8080/up?all=1", Some(("shop.example:8080", 8080, "/up?all=1")));
        check("http://[::1]:81/x", Some(("[::1]:81", 81, "/x")));
        check("http://[::1]/x", Some(("[::1]", 80, "/x")));
        for wrong in ["https://localhost", "localhost:80", "http://", "http://a:0", "http://a:x/", "http://a/b c", "http://u@a/"]
        {
            check(wrong, None);
        }
    }
}
