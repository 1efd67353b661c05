"""OpenStack Swift with its S3 API in one process on loopback, for tests. usage: s3-server.py FOLDER [PORT]

The folder needs user xattrs. Prints the address when it answers; SIGTERM ends it. Credentials test:tester / testing,
region us-east-1, path style.
"""

import os
import signal
import sys
import warnings

os.environ['TZ'] = 'UTC+0'
warnings.filterwarnings('ignore')

from swift.common import utils

utils.eventlet_monkey_patch()

import eventlet
import eventlet.hubs
import swift.common.storage_policy
from eventlet import wsgi
from swift.common.ring import RingBuilder
from swift.common.wsgi import SwiftHttpProtocol, loadapp

BACKENDS = ('account', 'container', 'object')
DEVICE = 'd1'

SWIFT_CONF = """[swift-hash]
swift_hash_path_suffix = test
[swift-constraints]
max_header_size = 32768
"""

BACKEND_CONF = """[DEFAULT]
swift_dir = {root}
devices = {root}/srv
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{name}
"""

FILTERS = ('catch_errors', 'gatekeeper', 'listing_formats', 'bulk', 's3api', 'tempauth', 'copy', 'slo', 'dlo',
           'versioned_writes', 'symlink')
SETTINGS = {
    's3api': 'location = us-east-1\ncors_preflight_allow_origin = *\n',
    'tempauth': 'user_test_tester = testing .admin\n',
    'versioned_writes': 'allow_object_versioning = true\n',
}


class NoCache:
    """tempauth insists on a cache; this one never remembers."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


def configure(root, sockets):
    write(root + '/swift.conf', SWIFT_CONF)
    utils.SWIFT_CONF_FILE = root + '/swift.conf'
    utils.validate_hash_conf()
    for name in BACKENDS:
        # Two partitions, one replica.
        builder = RingBuilder(1, 1, 1)
        port = sockets[name].getsockname()[1]
        builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'weight': 1, 'port': port,
                         'device': DEVICE})
        builder.rebalance()
        builder.get_ring().save('%s/%s.ring.gz' % (root, name))
        write('%s/%s.conf' % (root, name), BACKEND_CONF.format(root=root, name=name))
    proxy = ['[DEFAULT]\nswift_dir = %s\n[pipeline:main]\npipeline = %s proxy-server\n' % (root, ' '.join(FILTERS)),
             '[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n']
    proxy += ['[filter:%s]\nuse = egg:swift#%s\n%s' % (name, name, SETTINGS.get(name, '')) for name in FILTERS]
    write(root + '/proxy.conf', ''.join(proxy))


def with_cache(app):
    def called(env, start_response):
        env['swift.cache'] = NoCache()
        return app(env, start_response)
    return called


def main():
    root = os.path.abspath(sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    os.makedirs('%s/srv/%s' % (root, DEVICE), exist_ok=True)
    sockets = {name: eventlet.listen(('127.0.0.1', 0)) for name in BACKENDS}
    sockets['proxy'] = eventlet.listen(('127.0.0.1', port))
    configure(root, sockets)
    eventlet.hubs.use_hub(utils.get_hub())
    for name, socket in sockets.items():
        app = loadapp('%s/%s.conf' % (root, name), global_conf={'log_name': name})
        eventlet.spawn(wsgi.server, socket, with_cache(app) if name == 'proxy' else app, utils.NullLogger(),
                       protocol=SwiftHttpProtocol, capitalize_response_headers=False)
    eventlet.sleep(0)
    print('http://127.0.0.1:%d' % sockets['proxy'].getsockname()[1], flush=True)
    signal.signal(signal.SIGTERM, lambda *args: os._exit(0))
    while True:
        eventlet.sleep(3600)


main()
