//! What the server is told: by options, by variables, and by one file; in that order of strength.

mod identity;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::objects::{Addressing, Bucket, Secret};

use identity::IdentityOptions;
pub(crate) use identity::{CiIssuer, Identity, Oidc, is_issuer};

/// Options that every role takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// A TOML file with the settings that are not given here
    #[arg(long, value_name = "FILE", env = "RUNWARD_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Where the database and the events are kept [default: /var/lib/runward]
    #[arg(long, value_name = "DIR", env = "RUNWARD_DATA", global = true)]
    pub(crate) data: Option<PathBuf>,
    /// A PostgreSQL database in place of a file in the folder; in the variable, where passwords don't show
    #[arg(
        long,
        value_name = "URL",
        env = "RUNWARD_DATABASE",
        global = true,
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
    /// A bucket for the events in place of a folder in the folder: s3://bucket/prefix
    #[arg(long, value_name = "URL", env = "RUNWARD_OBJECTS", global = true)]
    pub(crate) objects: Option<String>,
    /// Where the bucket is, such as https://minio.example.com:9000 [default: Amazon S3]
    #[arg(
        long,
        value_name = "URL",
        env = "RUNWARD_OBJECTS_ENDPOINT",
        global = true
    )]
    pub(crate) objects_endpoint: Option<String>,
    /// The bucket's region [default: that of AWS_REGION, or us-east-1]
    #[arg(
        long,
        value_name = "NAME",
        env = "RUNWARD_OBJECTS_REGION",
        global = true
    )]
    pub(crate) objects_region: Option<String>,
    /// Where the bucket's name stands in addresses: path or host [default: path]
    #[arg(
        long,
        value_name = "PLACE",
        env = "RUNWARD_OBJECTS_ADDRESSING",
        global = true
    )]
    pub(crate) objects_addressing: Option<String>,
    /// A file with aws_access_key_id and aws_secret_access_key [default: the variables AWS_..., or what the machine gives]
    #[arg(
        long,
        value_name = "FILE",
        env = "RUNWARD_OBJECTS_CREDENTIALS",
        global = true
    )]
    pub(crate) objects_credentials: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8430]
    #[arg(long, value_name = "ADDRESS", env = "RUNWARD_LISTEN", global = true)]
    pub(crate) listen: Option<String>,
    /// The address that browsers and agents know this server by [default: http:// and where it listens]
    #[arg(long, value_name = "URL", env = "RUNWARD_PUBLIC_URL", global = true)]
    pub(crate) public_url: Option<String>,
    /// After how many seconds without a sign a run is given up [default: 300]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "RUNWARD_SILENT_AFTER",
        global = true
    )]
    pub(crate) silent_after: Option<u64>,
    /// How many seconds requests may go on when the server is told to end [default: 20]
    #[arg(long, value_name = "SECONDS", env = "RUNWARD_DRAIN", global = true)]
    pub(crate) drain: Option<u64>,
    #[command(flatten)]
    pub(crate) identity: IdentityOptions,
}

/// The file; its names are those of the options.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FileOptions {
    data: Option<PathBuf>,
    database: Option<String>,
    objects: Option<String>,
    objects_endpoint: Option<String>,
    objects_region: Option<String>,
    objects_addressing: Option<String>,
    objects_credentials: Option<PathBuf>,
    listen: Option<String>,
    public_url: Option<String>,
    silent_after: Option<u64>,
    drain: Option<u64>,
    #[serde(flatten)]
    identity: IdentityOptions,
    /// What is none of these.
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

/// Settings that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    /// None for the file in the folder.
    pub(crate) database: Option<String>,
    /// None for a folder in the folder.
    pub(crate) objects: Option<Bucket>,
    pub(crate) listen: SocketAddr,
    /// Without a `/` at its end.
    pub(crate) public_url: String,
    pub(crate) silent_after: Duration,
    pub(crate) drain: Duration,
    pub(crate) identity: Identity,
}

/// Everything that is wrong with the settings, a sentence each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ConfigErrors(pub(crate) Vec<String>);

impl Config {
    /// Puts the sources together; `read` reads a file. All errors are told at once.
    pub(crate) fn new(
        options: &Options,
        read: impl Fn(&Path) -> std::io::Result<String>,
    ) -> Result<Config, ConfigErrors> {
        let mut errors = Vec::new();
        let file = match &options.config {
            Some(path) => read_file(path, &read).unwrap_or_else(|error| {
                errors.push(error);
                FileOptions::default()
            }),
            None => FileOptions::default(),
        };
        let listen = options.listen.clone().or(file.listen);
        let listen = listen.as_deref().unwrap_or("127.0.0.1:8430");
        let listen: SocketAddr = listen.parse().unwrap_or_else(|_| {
            errors.push(format!(
                "listen: `{listen}` is not an address with a port, such as 127.0.0.1:8430"
            ));
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        let public_url = options.public_url.clone().or(file.public_url);
        let public_url = public_url.unwrap_or_else(|| format!("http://{listen}"));
        if !is_origin(&public_url) {
            errors.push(format!(
                "public-url: `{public_url}` is not an address such as https://runward.example.com, without a path"
            ));
        }
        let seconds = |name: &str, given: Option<u64>, usual: u64, errors: &mut Vec<String>| {
            let seconds = given.unwrap_or(usual);
            if !(1..=86_400).contains(&seconds) {
                errors.push(format!(
                    "{name}: {seconds} is not between 1 and 86400 seconds"
                ));
            }
            Duration::from_secs(seconds)
        };
        let silent_after = options.silent_after.or(file.silent_after);
        let silent_after = seconds("silent-after", silent_after, 300, &mut errors);
        let drain = seconds("drain", options.drain.or(file.drain), 20, &mut errors);
        let identity = options.identity.clone().or(file.identity);
        let identity = identity.parse(&read, &mut errors);
        let data = options.data.clone().or(file.data);
        let database = options.database.clone().or(file.database);
        let is_postgres = |address: &String| {
            address.starts_with("postgres://") || address.starts_with("postgresql://")
        };
        // The address itself is not told: it may have a password.
        if database
            .as_ref()
            .is_some_and(|address| !is_postgres(address))
        {
            errors.push("database: the address does not begin with postgres://".to_owned());
        }
        let objects = ObjectOptions {
            address: options.objects.clone().or(file.objects),
            endpoint: options.objects_endpoint.clone().or(file.objects_endpoint),
            region: options.objects_region.clone().or(file.objects_region),
            addressing: options
                .objects_addressing
                .clone()
                .or(file.objects_addressing),
            credentials: options
                .objects_credentials
                .clone()
                .or(file.objects_credentials),
        };
        let objects = objects.bucket(&read, &mut errors);
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        Ok(Config {
            database,
            objects,
            data: data.unwrap_or_else(|| PathBuf::from("/var/lib/runward")),
            listen,
            public_url: public_url.trim_end_matches('/').to_owned(),
            silent_after,
            drain,
            identity,
        })
    }

    /// Whether browsers come over TLS, so that cookies can be kept to it.
    pub(crate) fn is_secure(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

/// What is said of the bucket, as it is written.
struct ObjectOptions {
    address: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    addressing: Option<String>,
    credentials: Option<PathBuf>,
}

impl ObjectOptions {
    fn bucket(
        self,
        read: &impl Fn(&Path) -> std::io::Result<String>,
        errors: &mut Vec<String>,
    ) -> Option<Bucket> {
        let Some(address) = self.address else {
            self.refuse_alone(errors);
            return None;
        };
        let mut note = |name: &str, what: &str| errors.push(format!("{name}: {what}"));
        let mut bucket = Bucket::parse(&address)
            .map_err(|what| note("objects", what))
            .ok();
        let endpoint = self
            .endpoint
            .map(|url| url.trim_end_matches('/').to_owned());
        if endpoint.as_ref().is_some_and(|url| !is_origin(url)) {
            note(
                "objects-endpoint",
                "not an address such as https://minio.example.com:9000, without a path",
            );
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_name = |name: &String| !name.is_empty() && name.bytes().all(is_plain);
        if self.region.as_ref().is_some_and(|name| !is_name(name)) {
            note("objects-region", "not a region such as eu-central-1");
        }
        let addressing = match self.addressing.as_deref() {
            None | Some("path") => Addressing::Path,
            Some("host") => Addressing::Host,
            Some(_) => {
                note("objects-addressing", "it is `path` or `host`");
                Addressing::Path
            }
        };
        let secret = self.credentials.and_then(|path| {
            let text = read(&path).map_err(|error| error.to_string());
            let secret = text.and_then(|text| Secret::parse(&text).map_err(str::to_owned));
            secret
                .map_err(|what| {
                    note(
                        "objects-credentials",
                        &format!("{}: {what}", path.display()),
                    )
                })
                .ok()
        });
        if let Some(bucket) = &mut bucket {
            bucket.endpoint = endpoint;
            bucket.region = self.region;
            bucket.addressing = addressing;
            bucket.secret = secret;
        }
        bucket
    }

    /// Says that settings of a bucket mean nothing without one: somebody believes that events go elsewhere.
    fn refuse_alone(&self, errors: &mut Vec<String>) {
        let given = [
            ("objects-endpoint", self.endpoint.is_some()),
            ("objects-region", self.region.is_some()),
            ("objects-addressing", self.addressing.is_some()),
            ("objects-credentials", self.credentials.is_some()),
        ];
        for (name, _) in given.iter().filter(|(_, given)| *given) {
            errors.push(format!(
                "{name}: it says where a bucket is, and `objects` names none"
            ));
        }
    }
}

fn read_file(
    path: &Path,
    read: &impl Fn(&Path) -> std::io::Result<String>,
) -> Result<FileOptions, String> {
    let text =
        read(path).map_err(|error| format!("config: can't read {}: {error}", path.display()))?;
    let told = |what: &str| format!("config: {}: {what}", path.display());
    let file: FileOptions =
        toml::from_str(&text).map_err(|error| told(error.to_string().trim_end()))?;
    match file.unknown.keys().next() {
        Some(name) => Err(told(&format!("there is no setting `{name}`"))),
        None => Ok(file),
    }
}

/// Whether it is `http://` or `https://` with a host and perhaps a port, and nothing else.
fn is_origin(url: &str) -> bool {
    let url = url.strip_suffix('/').unwrap_or(url);
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &Options, file: &str) -> Result<Config, ConfigErrors> {
        Config::new(options, |_| Ok(file.to_owned()))
    }

    #[test]
    fn options_are_stronger_than_the_file_and_the_file_than_the_defaults() {
        let options = Options {
            config: Some("a".into()),
            listen: Some("[::1]:80".to_owned()),
            ..Options::default()
        };
        let config = config(
            &options,
            "listen = \"127.0.0.1:1\"\nsilent-after = 7\npublic-url = \"https://runward.example.com/\"",
        )
        .unwrap();
        assert_eq!(config.listen, "[::1]:80".parse().unwrap());
        assert_eq!(config.silent_after, Duration::from_secs(7));
        assert_eq!(config.drain, Duration::from_secs(20));
        assert_eq!(config.public_url, "https://runward.example.com");
        assert!(config.is_secure());
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let options = Options {
            config: Some("a".into()),
            listen: Some("here".to_owned()),
            public_url: Some("ftp://x".to_owned()),
            drain: Some(0),
            ..Options::default()
        };
        let errors = config(&options, "lisen = 3").unwrap_err();
        let places: Vec<&str> = errors
            .0
            .iter()
            .filter_map(|error| error.split(':').next())
            .collect();
        assert_eq!(places, ["config", "listen", "public-url", "drain"]);
    }

    #[test]
    fn a_bucket_is_named_by_its_address_and_found_by_what_else_is_said() {
        let options = Options {
            objects: Some("s3://runward-events/team/a/".to_owned()),
            objects_endpoint: Some("http://127.0.0.1:9000/".to_owned()),
            objects_credentials: Some("a".into()),
            ..Options::default()
        };
        let file = "[default]\naws_access_key_id = id\naws_secret_access_key=a=b\n[other]\naws_access_key_id = x";
        let bucket = config(&options, file).unwrap().objects.unwrap();
        assert_eq!(
            (bucket.name.as_str(), bucket.prefix.as_str()),
            ("runward-events", "team/a")
        );
        assert_eq!(bucket.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(bucket.addressing, Addressing::Path);
        assert_eq!(
            bucket.secret,
            Secret::parse("aws_secret_access_key = a=b\naws_access_key_id = id").ok()
        );
        assert!(
            !format!("{bucket:?}").contains("a=b"),
            "it is told to nobody"
        );
    }

    #[test]
    fn a_bucket_that_can_not_be_is_refused_with_all_other_errors() {
        let options = Options {
            objects: Some("s3://No_Bucket".to_owned()),
            objects_endpoint: Some("minio.example.com".to_owned()),
            objects_region: Some("a b".to_owned()),
            objects_addressing: Some("dns".to_owned()),
            objects_credentials: Some("a".into()),
            listen: Some("here".to_owned()),
            ..Options::default()
        };
        let errors = config(&options, "aws_access_key_id = id").unwrap_err().0;
        for name in [
            "listen",
            "objects",
            "objects-endpoint",
            "objects-region",
            "objects-addressing",
            "objects-credentials",
        ] {
            let told = errors
                .iter()
                .filter(|error| error.starts_with(&format!("{name}: ")));
            assert_eq!(told.count(), 1, "{name}: {errors:?}");
        }
        for address in [
            "s3:/x",
            "s3://",
            "https://bucket",
            "s3://bucket/../x",
            "s3://bucket/a//b",
        ] {
            assert!(Bucket::parse(address).is_err(), "{address}");
        }
        let alone = Options {
            objects_region: Some("eu-central-1".to_owned()),
            ..Options::default()
        };
        assert_eq!(config(&alone, "").unwrap_err().0.len(), 1);
    }
}
