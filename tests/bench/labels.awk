# SPDX-License-Identifier: GPL-2.0-only
# What the rows are called for readers
BEGIN {
	label["floor"] = "floor: two bare ioctls, no data"
	label["invoke"] = "upcall INVOKE"
	label["ring"] = "shared memory, sched_yield"
	label["seccomp"] = "seccomp notification"
	label["eventfd"] = "eventfd + shared memory"
	label["futex"] = "futex + shared memory"
	label["mq"] = "POSIX mq"
	label["pipe"] = "pipe"
	label["stream"] = "unix stream"
	label["seqpacket"] = "unix seqpacket"
	label["fuse"] = "FUSE write"
	label["binder"] = "binder, raw ioctl"
	label["library-caller"] = "upcall, library on the caller's side"
	label["library-owner"] = "upcall, library on the owner's side"
	label["sd-bus"] = "sd-bus, direct"
	label["dbus-daemon"] = "D-Bus through dbus-daemon"
	label["rest"] = "REST over a unix socket"
	label["grpc"] = "gRPC over a unix socket"
	label["async/32"] = "asynchronous calls, 32 to an EXCHANGE, per call and reply"
	label["notify/32"] = "NOTIFY, 32 to an EXCHANGE"
	label["oneway/ring"] = "ring in shared memory"
	label["oneway/eventfd"] = "eventfd + shared memory"
	label["oneway/pipe"] = "pipe, read 4 KiB at a time"
	label["oneway/seqpacket"] = "unix seqpacket"
	label["oneway/binder"] = "binder, 32 to an ioctl"
	label["empty-ioctl"] = "an ioctl that does nothing"
	label["stale"] = "INVOKE of a dead handle"
	label["register+release"] = "REGISTER and RELEASE, RELEASED 32 at a time"
	label["register+release/32"] = "the same, RELEASE 32 at a time too"
	label["invoke@1000"] = "INVOKE beside 1,000 live handles"
	label["invoke@1000000"] = "INVOKE beside 1,000,000"
	label["invoke@4000000"] = "INVOKE beside 4,000,000"
	label["handle-memory"] = "memory of a live handle, at 1,000,000"
	label["death/100000"] = "death of an owner with 100,000 handles, per handle"
	label["death/1000000"] = "death of an owner with 1,000,000 handles, per handle"
	label["death-holds-cpu"] = "longest that this keeps a processor from others"
}

function label_of(name)
{
	return name in label ? label[name] : name
}
