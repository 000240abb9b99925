package keystore

// The helper is not used here.
func nameProcess() {}
func noCore()      {}
