//! The block list on its way into the kernel, with or without a fence.

use runward_policy::BlockList;
use runward_sensor::{Listed, ListedName, Sensor, SensorError, SensorOptions};

/// What a reader is told where the list that comes with Runward can't be enforced.
const NOT_ENFORCED: &str = "The built-in block list is not enforced: this kernel refused it.";

/// A sensor that keeps its jobs from what is listed.
pub(crate) struct Blocking {
    pub(crate) sensor: Sensor,
    /// Whether the list is in force.
    pub(crate) enforced: bool,
    pub(crate) note: Option<String>,
}

/// Opens a sensor with a block list in force. A list that somebody asked for is in force afterwards, or this fails; one
/// that nobody asked for must not keep a job from running.
pub(crate) fn open(
    options: SensorOptions,
    list: &BlockList,
    optional: bool,
) -> Result<Blocking, SensorError> {
    let listed = listed(list);
    match enforce(options, &listed) {
        Err(_) if optional && listed.room() > 0 => Ok(Blocking {
            sensor: Sensor::open(options)?,
            enforced: false,
            note: Some(NOT_ENFORCED.to_owned()),
        }),
        opened => Ok(Blocking {
            sensor: opened?,
            enforced: listed.room() > 0,
            note: None,
        }),
    }
}

fn enforce(options: SensorOptions, listed: &Listed) -> Result<Sensor, SensorError> {
    let sensor = Sensor::open(SensorOptions {
        listed: listed.room(),
        ..options
    })?;
    sensor.block(listed)?;
    Ok(sensor)
}

fn listed(list: &BlockList) -> Listed {
    Listed {
        nets: list
            .nets()
            .map(|net| (net.network(), net.prefix_len()))
            .collect(),
        names: list
            .names()
            .map(|(name, below)| ListedName {
                name: name.to_owned(),
                below,
            })
            .collect(),
    }
}
