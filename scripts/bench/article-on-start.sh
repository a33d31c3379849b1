#!/bin/bash
# The lifecycle script of the article that this project answers ("Team Deployment"): JupyterLab waits for all of it.
# The benchmark puts MARIMO_VERSION, the same as ours, and MARIMO_PORT before these lines.

# In the image, pip installs into the prefix that each start resets; the stand-in's has it by its Python alone.
pip() { "$CONDA_PREFIX/bin/python" -m pip "$@"; }

pip install "marimo==$MARIMO_VERSION"
pip install jupyter-server-proxy
# Its third line installs the team's own packages; here neither side has any.

# "Setup helper scripts": what it starts is opened below /proxy/PORT/. Not on the article's 8888, which is
# JupyterLab's own port in the image.
mkdir -p "$HOME/marimo-notebooks"
cat >"$HOME/start-marimo.sh" <<SCRIPT
#!/bin/bash
cd "$HOME/marimo-notebooks" || exit
exec marimo edit --headless --no-token --host 127.0.0.1 --port $MARIMO_PORT
SCRIPT
chmod +x "$HOME/start-marimo.sh"
# There a person does this, once JupyterLab is up and a terminal open: that time is given to it.
nohup "$HOME/start-marimo.sh" >/dev/null 2>&1 </dev/null &
