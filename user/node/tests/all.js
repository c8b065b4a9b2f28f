// SPDX-License-Identifier: GPL-2.0-only
'use strict';

require('./story');
require('./calls');
require('./nested');
require('./stubs');
require('./hostile');
require('./process');
