//! Resource in, manifests out.
