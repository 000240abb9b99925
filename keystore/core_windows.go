package keystore

// noCore has nothing to do: the helper is not used here.
func noCore() {}
