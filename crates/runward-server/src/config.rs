//! What the server is told: by options, by variables, and by one file; in that order of strength.

mod identity;
mod notify;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::objects::{Addressing, Bucket, Secret};

use crate::telemetry::Format;
use identity::IdentityOptions;
pub(crate) use identity::{CiIssuer, Identity, Oidc, is_issuer};
use notify::NotifyOptions;
pub(crate) use notify::{Notify, Smtp, SmtpTls};

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
    /// Where to tell Prometheus metrics, apart from all else [default: nowhere]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "RUNWARD_METRICS_LISTEN",
        global = true
    )]
    pub(crate) metrics_listen: Option<String>,
    /// The address that browsers and agents know this server by [default: http:// and where it listens]
    #[arg(long, value_name = "URL", env = "RUNWARD_PUBLIC_URL", global = true)]
    pub(crate) public_url: Option<String>,
    /// A collector of OpenTelemetry traces, by OTLP over HTTP, such as http://localhost:4318 [default: none]
    #[arg(
        long,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        global = true
    )]
    pub(crate) otlp: Option<String>,
    /// How lines of the log look: text or json [default: text]
    #[arg(long, value_name = "FORMAT", env = "RUNWARD_LOG_FORMAT", global = true)]
    pub(crate) log_format: Option<String>,
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
    #[command(flatten)]
    pub(crate) notify: NotifyOptions,
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
    metrics_listen: Option<String>,
    public_url: Option<String>,
    otlp: Option<String>,
    log_format: Option<String>,
    silent_after: Option<u64>,
    drain: Option<u64>,
    #[serde(flatten)]
    identity: IdentityOptions,
    #[serde(flatten)]
    notify: NotifyOptions,
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
    /// None where metrics are told to nobody.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Without a `/` at its end.
    pub(crate) public_url: String,
    /// Where traces go; none where they are not wanted.
    pub(crate) otlp: Option<String>,
    pub(crate) log_format: Format,
    pub(crate) silent_after: Duration,
    pub(crate) drain: Duration,
    pub(crate) identity: Identity,
    pub(crate) notify: Notify,
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
        let listen = address("listen", listen, 8430, &mut errors);
        let metrics_listen = options.metrics_listen.clone().or(file.metrics_listen);
        let metrics_listen =
            metrics_listen.map(|at| address("metrics-listen", &at, 9430, &mut errors));
        if metrics_listen == Some(listen) {
            errors.push(
                "metrics-listen: it is where everybody comes in; name an address that only the scraper reaches"
                    .to_owned(),
            );
        }
        let public_url = options.public_url.clone().or(file.public_url);
        let public_url = public_url.unwrap_or_else(|| format!("http://{listen}"));
        if !is_origin(&public_url) {
            errors.push(format!(
                "public-url: `{public_url}` is not an address such as https://runward.example.com, without a path"
            ));
        }
        let otlp = options.otlp.clone().or(file.otlp);
        // A variable that is there and empty is how containers say that there is none.
        let otlp = otlp.filter(|url| !url.is_empty());
        if otlp.as_ref().is_some_and(|url| !is_endpoint(url)) {
            errors.push(
                "otlp: the address is not one such as http://localhost:4318; what is secret goes into OTEL_EXPORTER_OTLP_HEADERS"
                    .to_owned(),
            );
        }
        let log_format = options.log_format.clone().or(file.log_format);
        let log_format = log_format.map(|word| Format::parse(&word).ok_or(word));
        let log_format = log_format.unwrap_or(Ok(Format::default()));
        let log_format = log_format.unwrap_or_else(|word| {
            errors.push(format!(
                "log-format: it is `text` or `json`, and not `{word}`"
            ));
            Format::default()
        });
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
        let notify = options.notify.clone().or(file.notify);
        let notify = notify.parse(&read, &mut errors);
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
            metrics_listen,
            public_url: public_url.trim_end_matches('/').to_owned(),
            otlp,
            log_format,
            silent_after,
            drain,
            identity,
            notify,
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

/// Reads an address with a port; `port` is for the example in the error.
fn address(name: &str, text: &str, port: u16, errors: &mut Vec<String>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        errors.push(format!(
            "{name}: `{text}` is not an address with a port, such as 127.0.0.1:{port}"
        ));
        // It comes to nothing, and is unlike any other one.
        SocketAddr::from(([0, 0, 0, 0], port))
    })
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

/// Whether it is an origin with perhaps a path, and without what a secret could be in.
fn is_endpoint(url: &str) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    is_origin(&format!("{scheme}://{host}")) && path.bytes().all(plain)
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
            metrics_listen: Some("there".to_owned()),
            public_url: Some("ftp://x".to_owned()),
            drain: Some(0),
            log_format: Some("xml".to_owned()),
            ..Options::default()
        };
        let errors = config(&options, "lisen = 3").unwrap_err();
        let places: Vec<&str> = errors
            .0
            .iter()
            .filter_map(|error| error.split(':').next())
            .collect();
        assert_eq!(
            places,
            [
                "config",
                "listen",
                "metrics-listen",
                "public-url",
                "log-format",
                "drain"
            ]
        );
    }

    #[test]
    fn metrics_are_told_at_an_address_of_their_own_or_not_at_all() {
        let told_at = |at: Option<&str>| {
            let options = Options {
                metrics_listen: at.map(str::to_owned),
                ..Options::default()
            };
            config(&options, "").map(|config| config.metrics_listen)
        };
        assert_eq!(told_at(None).unwrap(), None);
        let own = "127.0.0.1:9430";
        assert_eq!(told_at(Some(own)).unwrap(), own.parse().ok());
        assert!(told_at(Some("127.0.0.1:8430")).is_err());
    }

    #[test]
    fn a_collector_is_an_address_without_secrets() {
        let parsed = |url: &str| {
            let options = Options {
                otlp: Some(url.to_owned()),
                ..Options::default()
            };
            config(&options, "").map(|config| config.otlp)
        };
        assert_eq!(parsed("").unwrap(), None);
        for good in [
            "http://localhost:4318",
            "https://collector.example.com/otlp/",
            "http://[::1]:4318",
        ] {
            assert_eq!(parsed(good).unwrap().as_deref(), Some(good));
        }
        for bad in [
            "localhost:4318",
            "grpc://localhost:4317",
            "http://user:word@localhost",
            "http://localhost/?key=secret",
            "http://",
        ] {
            let errors = parsed(bad).unwrap_err().to_string();
            assert!(
                errors.starts_with("otlp: ")
                    && !["word", "key="].iter().any(|part| errors.contains(part)),
                "{errors}"
            );
        }
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
