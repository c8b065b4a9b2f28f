# SPDX-License-Identifier: GPL-2.0-only
# 'make help' lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=

# The kernel to build for: the running one, or the newest whose headers are here
ifeq ($(origin KDIR),undefined)
KDIR := $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	$(shell ls -d /usr/src/linux-headers-*-amd64 2>/dev/null | sort -rV))
else
export KDIR
endif

all: module user		## module and user (what plain 'make' does)

module:				## upcall.ko, for the kernel whose headers are in KDIR
	$(if $(KDIR),,$(error No kernel headers found: 'make deps' installs them on Debian, or say KDIR=...))
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(UPCALL_TEST),UPCALL_TEST=1) modules

user:				## library, command, man pages
	$(MAKE) -C user

check: deps			## static checks, under a minute
	@tests/check.sh

test: deps			## checks, then every test in a virtual machine; T='call_test lib_*': only these
	@tests/run.sh $(foreach t,$(T),'$(t)')

test-kasan:			## every test on a kernel that checks memory, locks, leaks; builds it the first time
test-kcsan:			## the same on one that looks for data races
test-kasan test-kcsan:
	@tests/deps.sh kernels
	@tests/run.sh --kernel $(@:test-%=%) $(foreach t,$(T),'$(t)')

test-kernels:			## every test on Debian's other kernels; K='cloud rt 6.12 sid arm64': only these; T=...
	@tests/deps.sh debian
	@tests/kernels.sh $(if $(K),--kernels '$(K)') $(foreach t,$(T),'$(t)')

test-race: deps			## every state of a call against everything that can befall it
	@tests/run.sh --race

faults:				## every allocation and every copy of each call fails once; T='REPLY*': only these
	@tests/deps.sh kernels
	@tests/faults.sh $(foreach t,$(T),'$(t)')

fuzz:				## programs at random, led by what of the module they reach, for MINUTES=n (10); SEED=n, REPLAY=file
	@tests/deps.sh kernels
	@tests/fuzz.sh $(if $(REPLAY),--replay '$(REPLAY)',$(or $(MINUTES),10) $(SEED))

coverage:			## how much of kmod/ runs in all tests and faults, and why the rest does not; takes long
	@tests/deps.sh kernels
	@tests/coverage.sh $(foreach t,$(T),'$(t)')

mutants:			## breaks the module in 30 places: the tests must notice each; T='name*': only these
	@tests/deps.sh kernels
	@tests/mutants.sh $(foreach t,$(T),'$(t)')

endurance: deps			## an hour (DURATION=seconds) of load, reloads, freezing, full memory; T='freeze': only these
	@tests/endurance.sh $(or $(DURATION),3600) $(foreach t,$(T),'$(t)')

proof:				## what each of these said when it last ran here, as a table; runs nothing
	@tests/proof.sh

model:				## every interleaving of a model of the call, its ends, death and adoption
	@tests/deps.sh model
	@tests/model/run.sh

stress: deps			## everything at random for DURATION=seconds, every call accounted for; SEED=n
	@tests/stress.sh $(or $(DURATION),60) $(SEED)

churn: deps			## a million registrations, stubs and calls (ROUNDS=n of each of 4 workers): memory stays flat
	@tests/churn.sh $(or $(ROUNDS),250000)

flood: deps			## what is left to others when one uid floods, in figures
	@tests/run.sh flood_test
	@sed -n 's/^# # flood: //p' build/test/module.log

bench: deps			## what calls cost, in instructions, beside other ways; T='invoke pipe': only these
	@tests/bench/run.sh $(foreach t,$(T),'$(t)')

profile: deps			## where the instructions of a round trip go; T=row (default invoke/8)
	@tests/bench/profile.sh $(T)

demo: deps			## shows it working, in a virtual machine
	@tests/demo.sh

demo-restart: deps		## services killed under load and adopted, every call accounted for
	@tests/restart.sh

vm: deps			## a shell in a virtual machine with the module loaded
	@tests/vm/run --shell

deps:				## installs with apt what those above need
	@tests/deps.sh

install: all install-module install-config	## everything, under PREFIX (/usr/local) and DESTDIR
	install -Dm 644 -t $(DESTDIR)$(PREFIX)/include/linux kmod/uapi/linux/upcall.h
	$(MAKE) -C user install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

install-module: module		## the module alone, and where DESTDIR is empty depmod
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates \
		INSTALL_MOD_STRIP=1 modules_install
	$(if $(DESTDIR),,depmod $(KREL))

install-config:			## load at boot, /run/upcall, who may open the device
	install -Dm 644 kmod/etc/modules-load.conf $(DESTDIR)$(PREFIX)/lib/modules-load.d/upcall.conf
	install -Dm 644 kmod/etc/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/upcall.conf
	install -Dm 644 kmod/etc/udev.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-upcall.rules

uninstall:			## what install put there
	rm -f $(DESTDIR)/lib/modules/$(KREL)/updates/upcall.ko \
		$(DESTDIR)$(PREFIX)/include/linux/upcall.h \
		$(DESTDIR)$(PREFIX)/lib/modules-load.d/upcall.conf \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/upcall.conf \
		$(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-upcall.rules
	$(if $(DESTDIR),,depmod $(KREL))
	$(MAKE) -C user uninstall PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

clean:				## removes what was built
	$(if $(KDIR),$(MAKE) -C $(KDIR) M=$(CURDIR) clean)
	$(if $(wildcard user/Makefile),$(MAKE) -C user clean)
	rm -rf build

help:				## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS="$$(printf '\t')" read -r t h; do printf '  make %-16s %s\n' "$$t" "$$h"; done

# The release that KDIR is for
KREL = $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)

.PHONY: all module user check test test-kasan test-kcsan test-kernels test-race faults fuzz coverage mutants endurance proof model stress churn flood bench profile demo vm deps install install-module install-config uninstall clean help
