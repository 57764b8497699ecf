// Nothing but the precompiled header that every test program reuses: CMake makes one only for a target with a source
// file that is compiled with it.
