"""A PostgreSQL cluster in a directory of the test's, on a Unix socket alone, from Debian's packages (tools/setup installs them)."""
import atexit
import glob
import os
import shutil
import signal

from harness import run, skip, wait_until


class PostgresServer:
    """With these databases."""

    def __init__(self, world, *databases):
        found = sorted(glob.glob('/usr/lib/postgresql/*/bin'))
        if not found:
            skip('needs PostgreSQL (tools/setup installs it)')
        self.bin = found[-1]
        self.world = world
        self.directory = os.path.join('/tmp', '%s-pg' % world.prefix)
        os.makedirs(self.directory)
        shutil.chown(self.directory, 'postgres', 'postgres')
        atexit.register(self.clean)  # before that of the world
        self.process = None
        self.command('initdb', '-D', self.directory + '/data', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C')
        self.start()
        for database in databases:
            self.command('createdb', '-h', self.directory, database)

    def clean(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def as_postgres(self, program, *arguments):
        return ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--clear-groups', os.path.join(self.bin, program)] + list(arguments)

    def command(self, program, *arguments):
        return run(*self.as_postgres(program, *arguments), cwd='/')

    def start(self):
        log = open(os.path.join(self.world.work, 'postgres.log'), 'ab')
        self.process = self.world.spawn(self.as_postgres('postgres', '-D', self.directory + '/data', '-k', self.directory, '-c',
                                                         'listen_addresses=', '-c', 'max_connections=40'), stdout=log, stderr=log, cwd='/')
        wait_until(lambda: run(*self.as_postgres('pg_isready', '-h', self.directory), check_code=False).returncode == 0, 30,
                   'PostgreSQL answers')

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # "fast": sessions are ended
        self.process.wait(30)

    def uri(self, database):
        return 'postgresql://postgres@/%s?host=%s' % (database, self.directory)
