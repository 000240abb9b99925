package keystore

// Windows needs no helper process.
func nameProcess() {}
func noCore()      {}
