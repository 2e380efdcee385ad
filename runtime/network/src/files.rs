//! What a container finds in `/etc/hosts` and `/etc/resolv.conf`.

use std::net::IpAddr;

/// `/etc/hosts`: the machine's own names, the container's addresses, then what was asked for.
pub fn hosts(own: &[IpAddr], hostname: &str, domain: Option<&str>, extra: &[(String, IpAddr)]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    for (name, address) in extra {
        text.push_str(&format!("{address}\t{name}\n"));
    }
    for address in own {
        match domain {
            Some(domain) => text.push_str(&format!("{address}\t{hostname}.{domain} {hostname}\n")),
            None => text.push_str(&format!("{address}\t{hostname}\n")),
        }
    }
    text
}

/// What of a `resolv.conf` matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolverConfig {
    /// Servers.
    pub servers: Vec<IpAddr>,
    /// Domains that short names are tried in.
    pub search: Vec<String>,
    /// Options, verbatim.
    pub options: Vec<String>,
}

impl ResolverConfig {
    /// Reads a `resolv.conf`.
    pub fn parse(text: &str) -> Self {
        let mut config = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address: Option<IpAddr> = words.next().and_then(|word| word.split('%').next()?.parse().ok());
                    config.servers.extend(address);
                }
                Some("search" | "domain") => config.search = words.map(str::to_owned).collect(),
                Some("options") => config.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        config
    }

    /// Writes a `resolv.conf`; with `embedded` the servers are only named in a comment, and 127.0.0.11 is asked.
    pub fn render(&self, embedded: bool) -> String {
        let mut text = String::new();
        if embedded {
            text.push_str("nameserver 127.0.0.11\n");
        } else {
            self.servers.iter().for_each(|server| text.push_str(&format!("nameserver {server}\n")));
        }
        if !self.search.is_empty() {
            text.push_str(&format!("search {}\n", self.search.join(" ")));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        if embedded && !self.servers.is_empty() {
            let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
            text.push_str(&format!("# names outside are asked of: {}\n", servers.join(" ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_resolver_files() {
        let config = ResolverConfig::parse("# x\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a b\noptions ndots:5\n");
        assert_eq!(config.servers.len(), 2);
        let embedded = ResolverConfig { options: vec!["ndots:0".to_owned()], ..config };
        assert_eq!(
            embedded.render(true),
            "nameserver 127.0.0.11\nsearch a b\noptions ndots:0\n# names outside are asked of: 10.0.0.1 fe80::1\n"
        );
    }

    #[test]
    fn names_the_container_by_its_addresses() {
        let text = hosts(&["10.0.0.2".parse().unwrap()], "web", Some("lan"), &[("db".to_owned(), "1.2.3.4".parse().unwrap())]);
        assert!(text.contains("1.2.3.4\tdb\n") && text.ends_with("10.0.0.2\tweb.lan web\n"), "{text}");
    }
}
