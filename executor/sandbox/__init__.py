"""What a process may not do, held by the kernel: one file a mechanism. (`launch` puts them together.)"""
