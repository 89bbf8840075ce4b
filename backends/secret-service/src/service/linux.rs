//! The calls to the service over D-Bus.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::pin::Pin;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use msal_cache_core::{Bytes, event};
use secret_service::{Collection, EncryptionType, Error as ServiceError, Item};

use super::{OnLocked, SecretServiceOptions};
use crate::SecretEntry;
use crate::SecretServiceFailure as Failure;
use crate::entry::{APP, APP_SCHEMA, SCHEMA};

/// The content type of all libraries.
const TEXT: &str = "text/plain";

/// The label of a default collection that is created, as libsecret has it.
const DEFAULT_COLLECTION: &str = "Default keyring";

/// A call under way, boxed: the futures of the bus take up to 20 KB.
type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

/// A connection to the bus, with a key that both sides know.
pub(super) struct Connection {
    service: secret_service::SecretService<'static>,
    options: SecretServiceOptions,
}

impl Connection {
    pub(super) fn open(options: SecretServiceOptions) -> Result<Self, Failure> {
        const CONNECT: &str = "accept a connection";
        wait(async {
            let bus = limited(options.timeout, CONNECT, async {
                let bus = zbus::Connection::session().await;
                bus.map_err(|error| Failure::NoBus { reason: of_bus(&error) })
            });
            let bus = bus.await?;
            let connect = async {
                let service =
                    secret_service::SecretService::connect_with_existing(EncryptionType::Dh, bus);
                service.await.map_err(|error| translate(CONNECT, "the Secret Service", &error))
            };
            Ok(Self { service: limited(options.timeout, CONNECT, connect).await?, options })
        })
    }

    pub(super) fn read(&self, entry: &SecretEntry) -> Result<Option<Bytes>, Failure> {
        wait(async {
            let Some(item) = self.find(entry).await? else { return Ok(None) };
            let secret = self.call("read", entry, item.get_secret()).await?;
            Ok(Some(secret.into()))
        })
    }

    pub(super) fn contains(&self, entry: &SecretEntry) -> Result<bool, Failure> {
        wait(async {
            let attributes = entry.searched_attributes().collect();
            let found = self.call("find", entry, self.service.search_items(attributes)).await?;
            Ok(!found.unlocked.is_empty() || !found.locked.is_empty())
        })
    }

    pub(super) fn apps(&self) -> Result<Vec<String>, Failure> {
        const PLACE: &&str = &"the caches of apps";
        wait(async {
            let search = self.service.search_items(HashMap::from([(SCHEMA, APP_SCHEMA)]));
            let found = self.call("find", PLACE, search).await?;
            let mut apps = BTreeSet::new();
            for item in found.unlocked.iter().chain(&found.locked) {
                let mut attributes = self.call("find", PLACE, item.get_attributes()).await?;
                apps.extend(attributes.remove(APP));
            }
            Ok(apps.into_iter().collect())
        })
    }

    pub(super) fn write(&self, entry: &SecretEntry, secret: &[u8]) -> Result<(), Failure> {
        wait(async {
            if let Some(item) = self.find(entry).await? {
                return self.call("write", entry, item.set_secret(secret, TEXT)).await;
            }
            let collection = self.collection(entry).await?;
            let attributes = entry.all_attributes().collect();
            let created = collection.create_item(entry.own_label(), attributes, secret, true, TEXT);
            self.call("write", entry, created).await.map(drop)
        })
    }

    pub(super) fn remove(&self, entry: &SecretEntry) -> Result<bool, Failure> {
        wait(async {
            let Some(item) = self.find(entry).await? else { return Ok(false) };
            self.call("delete", entry, item.delete()).await?;
            Ok(true)
        })
    }

    /// The entry, unlocked.
    fn find<'a>(&'a self, entry: &'a SecretEntry) -> Call<'a, Option<Item<'a>>> {
        Box::pin(self.find_unlocked(entry))
    }

    async fn find_unlocked(&self, entry: &SecretEntry) -> Result<Option<Item<'_>>, Failure> {
        let attributes = entry.searched_attributes().collect();
        let found = self.call("find", entry, self.service.search_items(attributes)).await?;
        // As libsecret does: a locked entry counts only where none is unlocked.
        let is_locked = found.unlocked.is_empty();
        let items = if is_locked { found.locked } else { found.unlocked };
        let Some(item) = self.closest(entry, items).await? else { return Ok(None) };
        if is_locked {
            let place = entry.to_string();
            self.unlock(&place, item.unlock()).await?;
        }
        Ok(Some(item))
    }

    /// The item that has the attributes of the entry and no others, else the first one.
    async fn closest<'a>(
        &self,
        entry: &SecretEntry,
        mut items: Vec<Item<'a>>,
    ) -> Result<Option<Item<'a>>, Failure> {
        let mut closest = 0;
        if items.len() > 1 {
            let wanted: HashMap<_, _> = entry.all_attributes().collect();
            for (at, item) in items.iter().enumerate() {
                let attributes = self.call("find", entry, item.get_attributes()).await?;
                let is_wanted = |(name, value): (&String, &String)| {
                    wanted.get(&**name).is_some_and(|wanted| wanted == value)
                };
                if attributes.len() == wanted.len() && attributes.iter().all(is_wanted) {
                    closest = at;
                    break;
                }
            }
            event!(debug, items = items.len(), "several secrets have the attributes of the entry");
        }
        Ok((closest < items.len()).then(|| items.swap_remove(closest)))
    }

    /// The collection in which an entry is created, unlocked.
    async fn collection(&self, entry: &SecretEntry) -> Result<Collection<'_>, Failure> {
        let alias = entry.own_collection();
        let find = self.service.get_collection_by_alias(alias);
        let found = limited(self.options.timeout, "find the collection", async {
            match find.await {
                Err(ServiceError::NoResult) => Ok(None),
                found => found.map(Some).map_err(|error| translate("find", alias, &error)),
            }
        });
        let collection = match found.await? {
            Some(collection) => collection,
            None if alias == "default" && self.options.on_locked == OnLocked::Prompt => {
                let create = self.service.create_collection(DEFAULT_COLLECTION, alias);
                return self.prompt("the new default collection", create).await;
            }
            None => return Err(Failure::NoCollection { collection: alias.to_owned() }),
        };
        if self.call("find", entry, collection.is_locked()).await? {
            let place = format!("the collection {alias:?}");
            self.unlock(&place, collection.unlock()).await?;
        }
        Ok(collection)
    }

    fn unlock<'a>(
        &'a self,
        place: &'a str,
        unlock: impl Future<Output = Result<(), ServiceError>> + 'a,
    ) -> Call<'a, ()> {
        match self.options.on_locked {
            OnLocked::Error => Box::pin(async { Err(Failure::Locked { place: place.to_owned() }) }),
            OnLocked::Prompt => self.prompt(place, unlock),
        }
    }

    /// A call that may wait for the user.
    fn prompt<'a, T: 'a>(
        &'a self,
        place: &'a str,
        call: impl Future<Output = Result<T, ServiceError>> + 'a,
    ) -> Call<'a, T> {
        const UNLOCK: &str = "unlock";
        let call = async move { call.await.map_err(|error| translate(UNLOCK, place, &error)) };
        limited(self.options.prompt_timeout, UNLOCK, call)
    }

    /// A call that doesn't wait for the user.
    fn call<'a, T: 'a>(
        &'a self,
        operation: &'static str,
        place: &'a dyn Display,
        call: impl Future<Output = Result<T, ServiceError>> + 'a,
    ) -> Call<'a, T> {
        let call = async move {
            call.await.map_err(|error| translate(operation, &place.to_string(), &error))
        };
        limited(self.options.timeout, operation, call)
    }
}

/// Blocks the thread. Not by the executor of `async_io`: where another crate has turned on the feature
/// `tokio` of `zbus`, its connections need that runtime.
fn wait<T>(call: impl Future<Output = T>) -> T {
    zbus::block_on(call)
}

/// Ends a call at a deadline. D-Bus has none.
fn limited<'a, T: 'a>(
    limit: Duration,
    operation: &'static str,
    call: impl Future<Output = Result<T, Failure>> + 'a,
) -> Call<'a, T> {
    let late = async move {
        Timer::after(limit).await;
        Err(Failure::TimedOut { operation, waited: limit })
    };
    Box::pin(future::or(call, late))
}

/// The failure that an error of the service is.
fn translate(operation: &'static str, place: &str, error: &ServiceError) -> Failure {
    let refused = |reason: &str| Failure::Refused { operation, reason: reason.to_owned() };
    match error {
        ServiceError::Locked => Failure::Locked { place: place.to_owned() },
        ServiceError::Prompt => Failure::Dismissed { place: place.to_owned() },
        ServiceError::NoResult => Failure::NoCollection { collection: place.to_owned() },
        ServiceError::Unavailable => Failure::NoService,
        ServiceError::Crypto(_) => refused("the secret can't be decrypted"),
        ServiceError::Zbus(error) => of_call(place, operation, &of_bus(error)),
        ServiceError::ZbusFdo(error) => {
            of_call(place, operation, zbus::DBusError::name(error).as_str())
        }
        ServiceError::Zvariant(_) => refused("it returned a value of another type"),
        _ => refused("the connection was closed"),
    }
}

/// The failure that an error of this name is.
fn of_call(place: &str, operation: &'static str, name: &str) -> Failure {
    match name.strip_prefix("org.freedesktop.").unwrap_or(name) {
        "Secret.Error.IsLocked" => Failure::Locked { place: place.to_owned() },
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => Failure::NoService,
        // The program that provides the service could not be started.
        name if name.starts_with("DBus.Error.Spawn.") => Failure::NoService,
        _ => Failure::Refused { operation, reason: name.to_owned() },
    }
}

/// The name of an error, and no text of the service.
fn of_bus(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => zbus::DBusError::name(&**error).to_string(),
        zbus::Error::InputOutput(error) => error.kind().to_string(),
        zbus::Error::Address(_) => "there is no valid address".into(),
        zbus::Error::Handshake(_) => "the handshake failed".into(),
        zbus::Error::InterfaceNotFound => "it has no such interface".into(),
        _ => "the connection failed".into(),
    }
}
