# Stands in for python:3.12-slim: Debian's Python, and a pip that finds the locked wheels without a network.
FROM jeroboam-prove/debian:1
COPY wheels /opt/wheels
RUN printf '[global]\nno-index = true\nfind-links = /opt/wheels\n' > /etc/pip.conf \
    && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3 /usr/local/bin/python
CMD ["python"]
