pub(crate) mod desk;
pub(crate) mod index;
pub(crate) mod log;
