#!/bin/bash
# The lifecycle script of the article that this project is compared to ("Team Deployment"). JupyterLab waits for all of it.
# The benchmark adds MARIMO_VERSION, the same as ours, and MARIMO_PORT before these lines.

# In the image, pip installs into the prefix, which each start resets. Here, pip is only available through its Python.
pip() { "$CONDA_PREFIX/bin/python" -m pip "$@"; }

pip install "marimo==$MARIMO_VERSION"
pip install jupyter-server-proxy
# The article's third line installs the team's packages. Here neither side has any.

# "Setup helper scripts": marimo is opened below /proxy/PORT/. The port is not the article's 8888, which JupyterLab uses
# in the image.
mkdir -p "$HOME/marimo-notebooks"
cat >"$HOME/start-marimo.sh" <<SCRIPT
#!/bin/bash
cd "$HOME/marimo-notebooks" || exit
exec marimo edit --headless --no-token --host 127.0.0.1 --port $MARIMO_PORT
SCRIPT
chmod +x "$HOME/start-marimo.sh"
# In the article, the user starts it in a terminal after JupyterLab is ready. The benchmark does not count that time.
nohup "$HOME/start-marimo.sh" >/dev/null 2>&1 </dev/null &
